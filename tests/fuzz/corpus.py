"""A few well-formed inputs for each target, and the words they are made of: where a search begins."""

from __future__ import annotations

from appliance.gateway import records
from appliance.gateway.records import pair, record

END = record(records.END_REQUEST, bytes(8))
HEADS = [
    b"Status: 404 Not Found\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 103 E\r\nLink: a\r\n\r\nStatus: 200\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"Location: /x\nX-Sendfile: /srv/pub/a%20b\nConnection: close, X\nX: y\n\nbody",
    b"X-Sendfile2: /srv/pub/a 0-4, /b%2c 5-\n\n",
]
CHUNKS = [b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n", b"A\r\n0123456789\r\n"]

SEEDS: dict[str, list[bytes]] = {
    "fastcgi": [
        record(records.STDOUT, HEADS[0]) + record(records.STDERR, b"oh\n") + record(records.STDOUT) + END,
        record(records.GET_VALUES_RESULT, pair(b"FCGI_MAX_CONNS", b"1"), 0) + record(99, b"x", 0) + END,
    ],
    "answer-head": HEADS,
    "answer-chunks": CHUNKS,
    "request-body": CHUNKS,
    "request-head": [
        b"GET /a/../b%2e?c HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello",
        b"\r\nPOST http://h/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-x\r\n\r\n",
        b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\nUpgrade: x\r\n\r\n",
    ],
    "target": [b"/a/%2e%2e/b//c?d#e", b"http://[::1]:80/x", b"*", b"/\xc3\xa4%00"],
    "scgi-answer": HEADS,
    "pairs": [pair(b"CONTENT_LENGTH", b"5") + pair(b"A" * 200, b"v" * 300)],
    "send-file": [b"/srv/pub/../x", b"/var/www/a%2f..%2fb 0-5, /srv/pub/%c3%a4 7-", b"/srv/pub/x"],
}

WORDS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b": ", b"\0", b" ", b";", b",", b"0\r\n\r\n", b"Status: ",
    b"Location: ", b"\x01\x06\0\x01\0\x04\0\0body", b"\x01\x07\0\x01\0\x01\x07\0x\0\0\0\0\0\0\0", END,
    b"Content-Length: ", b"Transfer-Encoding: chunked", b"Host: a", b"HTTP/1.1", b"GET / HTTP/1.1\r\n",
    b"/../", b"%2e%2e", b"%00", b"\xff", b"X-Sendfile: ", b"Connection: ", b"/srv/pub/", b"Upgrade: a",
    b"Status: 103\r\n\r\n",
]  # fmt: skip
