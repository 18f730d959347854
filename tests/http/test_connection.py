"""Client connections of the running server, byte by byte (RFC 9112)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.http_client import Wire, many
from tests.waiting import until

ECHO = """<?php
$body = file_get_contents("php://input");
$seen = [];
foreach ($_SERVER as $name => $value)
    if (str_starts_with($name, "HTTP_") || str_starts_with($name, "CONTENT_")) $seen[$name] = $value;
header("Content-Type: application/json");
echo json_encode(["uri" => $_SERVER["REQUEST_URI"], "length" => strlen($body), "md5" => md5($body),
                  "seen" => $seen]);
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Box]:
    """Files and PHP; limits small enough to reach."""
    directory = Path(tempfile.mkdtemp(prefix="fcgibox-", dir="/tmp"))
    directory.chmod(0o755)
    root = directory / "www"
    root.mkdir()
    (root / "small.txt").write_text("small\n")
    (root / "big.bin").write_bytes(bytes(range(256)) * 20000)
    (root / "echo.php").write_text(ECHO)
    with Box(directory / "box") as box:
        box.serve(f"""
            server.modules = ( "mod_fastcgi" )
            server.document-root = "{root}"
            server.max-request-size = 1000
            server.max-keep-alive-idle = 2
            server.max-read-idle = 2
            mimetype.assign = ( ".txt" => "text/plain" )
            fastcgi.server = ( ".php" => ((
                "socket" => "{directory}/php.sock", "bin-path" => "/usr/bin/php-cgi",
                "min-procs" => 1, "max-procs" => 1, "bin-environment" => ( "PHP_FCGI_CHILDREN" => "2" ) )) )
            """)
        yield box
    shutil.rmtree(directory, ignore_errors=True)


def test_keep_alive_and_pipelining(server: Box) -> None:
    with server.wire() as wire:
        wire.send(
            b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n" * 100
            + b"GET /echo.php?last HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        for _ in range(100):
            answer = wire.answer()
            assert (answer.status, answer.body) == (200, b"small\n")
        assert json.loads(wire.answer().body)["uri"] == "/echo.php?last"
        assert wire.get("/small.txt").status == 200


def test_a_request_in_single_octets(server: Box) -> None:
    with server.wire() as wire:
        wire.send_slowly(
            b"\r\nPOST /echo.php HTTP/1.1\r\nHost: a\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        assert json.loads(wire.answer().body)["length"] == 3


def test_connection_close_and_http_1_0(server: Box) -> None:
    for request, kept in (
        (b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET /small.txt HTTP/1.0\r\n\r\n", False),
        (b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ):
        with server.wire() as wire:
            answer = wire.send(request).answer()
            assert answer.status == 200
            assert answer.header("Connection") == ("keep-alive" if kept else "close")
            assert wire.closed(0.5) is not kept


def test_head_has_the_fields_and_no_body(server: Box) -> None:
    with server.wire() as wire:
        head = wire.request("HEAD", "/big.bin").answer("HEAD")
        assert (head.status, head.header("Content-Length"), head.body) == (200, "5120000", b"")
        told = wire.request("HEAD", "/echo.php").answer("HEAD")
        # What the application does not say of GET's length, nobody may make up (RFC 9110 section 8.6).
        assert (told.status, told.header("Content-Length")) == (200, None)
        assert wire.request("HEAD", "/gone").answer("HEAD").status == 404
        assert wire.get("/small.txt").body == b"small\n"


def test_a_large_file_is_whole(server: Box) -> None:
    with server.wire() as wire:
        assert wire.get("/big.bin").body == bytes(range(256)) * 20000


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 70000, 900000])
@pytest.mark.holds("bin-environment")
def test_bodies_arrive_unchanged(server: Box, size: int) -> None:
    import hashlib

    body = bytes(number * 7 % 256 for number in range(256)) * (size // 256 + 1)
    body = body[:size]
    chunked = b"".join(
        b"%x\r\n%b\r\n" % (len(body[n : n + 5000]), body[n : n + 5000]) for n in range(0, size, 5000)
    )
    with server.wire() as wire:
        for sent in (
            b"Content-Length: %d\r\n\r\n%b" % (size, body),
            b"Transfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\nX-Trailer: 1\r\n\r\n",
        ):
            seen = json.loads(wire.send(b"POST /echo.php HTTP/1.1\r\nHost: a\r\n" + sent).answer().body)
            assert (seen["length"], seen["md5"]) == (size, hashlib.md5(body).hexdigest())
            assert seen["seen"]["CONTENT_LENGTH"] == str(size)
            assert "HTTP_X_TRAILER" not in seen["seen"]
            assert "HTTP_TRANSFER_ENCODING" not in seen["seen"]


def test_100_continue_comes_when_somebody_wants_the_body(server: Box) -> None:
    with server.wire() as wire:
        wire.send(b"POST /echo.php HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.any_answer().status == 100
        assert json.loads(wire.send(b"hi").answer().body)["length"] == 2
        wire.send(b"POST /gone HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.any_answer().status == 404, "nobody asked for the body"
        assert wire.closed()


REFUSALS = [
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    (
        400,
        b"POST /echo.php HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (400, b"POST /echo.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    (413, b"POST /echo.php HTTP/1.1\r\nHost: a\r\nContent-Length: 1024001\r\n\r\n"),
    (
        413,
        b"POST /echo.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n"
        + b"x" * 0x200000
        + b"\r\n",
    ),
    (414, b"GET /" + b"x" * 9000),
    (431, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000),
    (501, b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (505, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
    (417, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"),
]


@pytest.mark.parametrize(("status", "request_octets"), REFUSALS, ids=[f"{s} {r[:30]!r}" for s, r in REFUSALS])
@pytest.mark.holds("server.max-request-size", "server.max-request-field-size")
def test_refused_requests_end_the_connection(server: Box, status: int, request_octets: bytes) -> None:
    with server.wire() as wire:
        answer = wire.send(request_octets + b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n").answer()
        assert (answer.status, answer.header("Connection")) == (status, "close")
        assert wire.closed(), "nothing after an ambiguous request may be answered"


def test_the_refusal_of_an_upload_reaches_a_client_that_only_writes(server: Box) -> None:
    with server.wire() as wire:
        wire.send(b"POST /echo.php HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n" + b"x" * 30000000)
        assert wire.answer().status == 413
    server.wait_log("server.max-request-size")


def test_a_body_nobody_wants_does_not_become_a_request(server: Box) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.wire() as wire:
        wire.send(
            b"POST /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(hidden), hidden)
        )
        assert wire.answer().status == 200
        assert wire.get("/small.txt").body == b"small\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"GET / HT", 408),
        (b"POST /echo.php HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", 408),
    ],
    ids=["idle", "head", "body"],
)
@pytest.mark.holds("server.max-keep-alive-idle", "server.max-read-idle")
def test_waiting_has_limits(server: Box, sent: bytes, status: int | None) -> None:
    with server.wire(timeout=40) as wire:
        if status is None:
            wire.get("/small.txt")
        wire.send(sent)
        if status is not None:
            assert wire.answer().status == status
        assert wire.closed(6)


def test_clients_that_vanish_leave_nothing_behind(server: Box) -> None:
    for sent in (
        b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /echo.php HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    ):
        for _ in range(20):
            wire = server.wire()
            wire.send(sent)
            wire.reset()
    until(
        lambda: server.status()["front"]["data"]["connections"] == 0, 10, "connections are left", server.log
    )
    assert server.get("/small.txt").status == 200
    assert "Traceback" not in server.log()


def test_hundreds_of_idle_connections(server: Box) -> None:
    with many(server.address, 300) as wires:
        assert all(wire.get("/small.txt").status == 200 for wire in wires)


def test_unix_socket_and_http_over_it(server: Box, box: Box, place: Path) -> None:
    (place / "www").mkdir()
    (place / "www" / "a.txt").write_text("a")
    box.serve(f"""
        server.document-root = "{place}/www"
        $SERVER["socket"] == "{place}/http.sock" {{ }}
        """)
    with Wire(str(place / "http.sock")) as wire:
        assert wire.get("/a.txt").body == b"a"
