"""The head of a request: found by us, read by httptools, checked by us (RFC 9112 sections 2, 3 and 6).

httptools (llhttp) does not pause: one read could yield thousands of requests, and it accepts a missing Host
and a Transfer-Encoding on HTTP/1.0. So it is fed exactly one complete head at a time, and whatever two
readers could understand in two ways is refused here, with the status that says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from appliance.http.request import Request
from appliance.http.target import BadTarget, parse_target

MAX_FIELDS = 100
FIELD_SIZE = "(server.max-request-field-size)"
MAX_LEADING_BLANK = 4  # octets of CRLF before a request line (RFC 9112 section 2.2)

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::([0-9]{0,5}))?")
_REQUEST_LINE = re.compile(rb"([!-~]+) ([!-\xff]+) HTTP/(?:1\.([01])|[0-9]\.[0-9])\r\n")


class BadRequest(Exception):
    """A request that cannot be served. After it nothing on this connection can be trusted: it is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of a connection before its first octet."""

    scheme: str
    socket: str
    remote_address: str
    remote_port: int
    local_address: str
    local_port: int


def find_head(buffer: bytes, limit: int) -> int:
    """Length of the complete head at the start of `buffer`; 0 or less if more is needed.

    -n means that the first n octets are empty lines, which robust servers skip (RFC 9112 section 2.2).
    Raises BadRequest (400, 414, 431).
    """
    end = buffer.find(b"\r\n\r\n", 0, limit)
    if end > 0 and buffer[0] > 32:
        return end + 4
    return _head_to_come(buffer, limit)


def _head_to_come(buffer: bytes, limit: int) -> int:
    stripped = buffer.lstrip(b"\r\n")
    blank = len(buffer) - len(stripped)
    if blank > MAX_LEADING_BLANK:
        raise BadRequest(400, "empty lines instead of a request")
    if blank and stripped:
        length = find_head(stripped, limit)
        return blank + length if length > 0 else -blank
    if buffer.find(b"\n\n", 0, limit) >= 0:
        raise BadRequest(400, "a line of the head ends without CR")
    if len(buffer) >= limit:
        if b"\n" not in buffer[:limit]:
            raise BadRequest(
                414, f"the request line is longer than {limit} octets (server.max-request-field-size)"
            )
        raise BadRequest(431, f"the head is longer than {limit} octets {FIELD_SIZE}")
    return 0


class _Fields:
    """Receives the header fields that httptools finds."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves blanks at the end, which do not belong to the value (RFC 9112 section 5.1).
        self.pairs.append((name, value.rstrip(b" \t")))


def parse_head(head: bytes, endpoint: Endpoint) -> tuple[Request, bool]:
    """The request, and whether its body is chunked. Raises BadRequest."""
    line = _REQUEST_LINE.match(head)
    if line is None and head[:1] in b"\r\n":
        return parse_head(head.lstrip(b"\r\n"), endpoint)
    if line is None:
        raise BadRequest(400, "the request line is not METHOD TARGET HTTP/1.1")
    method, target_octets, minor = line.groups()
    if not minor:
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    fields = _Fields()
    parser = httptools.HttpRequestParser(fields)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # an Upgrade that nobody takes up is no error: the request is answered without it
    except httptools.HttpParserInvalidMethodError:
        raise BadRequest(501, "the method is not known") from None
    except (httptools.HttpParserError, httptools.HttpParserCallbackError) as error:
        raise BadRequest(400, f"the head is malformed: {error}") from None
    modern = minor == b"1"
    pairs = fields.pairs
    if len(pairs) > MAX_FIELDS:
        raise BadRequest(431, f"more than {MAX_FIELDS} header fields")

    length: int | None = 0
    chunked = False
    host: bytes | None = None
    keep_alive = modern
    expects = False
    length_seen = False
    for name, value in pairs:
        # Only names of these lengths matter here; most fields are passed over by one comparison.
        if len(name) not in _LENGTHS:
            continue
        key = name.lower()
        if key == b"host":
            if host is not None:
                raise BadRequest(400, "two Host fields")
            host = value
        elif key == b"connection":
            tokens = [token.strip() for token in value.lower().split(b",")]
            if b"close" in tokens:
                keep_alive = False
            elif not modern and b"keep-alive" in tokens:
                keep_alive = True
        elif key == b"content-length":
            if length_seen or not value.isdigit() or len(value) > 18:
                raise BadRequest(400, "Content-Length is not one number")
            length_seen = True
            length = int(value)
        elif key == b"transfer-encoding":
            if not modern:
                raise BadRequest(400, "Transfer-Encoding in an HTTP/1.0 request")
            if chunked or value.strip().lower() != b"chunked":
                raise BadRequest(501, "a transfer coding other than chunked")
            chunked = True
        elif key == b"expect":
            if value.lower() != b"100-continue":
                raise BadRequest(417, "an expectation other than 100-continue")
            expects = modern
    if chunked:
        if length_seen:
            raise BadRequest(400, "both Content-Length and Transfer-Encoding")
        length = None
    if method == b"CONNECT":
        raise BadRequest(405, "CONNECT is for proxies")
    try:
        target = parse_target(target_octets)
    except BadTarget as error:
        raise BadRequest(error.status, error.reason) from None
    if host is None:
        if modern:
            raise BadRequest(400, "an HTTP/1.1 request without Host")
        host = b""
    if target.authority is not None:
        host = target.authority  # an absolute-form target overrides Host (RFC 9112 section 3.2.2)
    authority, name_only = _host(host)
    request = Request(
        method.decode("ascii"),
        target_octets,
        "HTTP/1.1" if modern else "HTTP/1.0",
        pairs,
        target.path,
        target.query,
        authority,
        name_only,
        endpoint.scheme,
        endpoint.socket,
        endpoint.remote_address,
        endpoint.remote_port,
        endpoint.local_address,
        endpoint.local_port,
        length,
        keep_alive,
        expects,
    )
    return request, chunked


_LENGTHS = frozenset(
    len(name) for name in ("host", "connection", "content-length", "transfer-encoding", "expect")
)

_hosts: dict[bytes, tuple[str, str]] = {}


def _host(value: bytes) -> tuple[str, str]:
    """Authority as sent and lower-case host of a Host field; the few names of a server are remembered."""
    known = _hosts.get(value)
    if known is not None:
        return known
    match = _HOST.fullmatch(value)
    if match is None or (match[2] and int(match[2]) > 65535):
        raise BadRequest(400, "Host is not a host name with an optional port")
    result = (value.decode("ascii"), match[1].decode("ascii").lower())
    if len(_hosts) < 256:
        _hosts[value] = result
    return result
