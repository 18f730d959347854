"""What an application says reaches the client as it was meant, or visibly not: the wires of both sides."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.gateway.records import (
    BEGIN_REQUEST,
    CANNOT_MULTIPLEX,
    END_REQUEST,
    OVERLOADED,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    UNKNOWN_ROLE,
    record,
)
from tests.box import Box
from tests.http_client import ProtocolViolation

END = record(END_REQUEST, bytes(8))
HEAD = b"Content-Type: text/plain\r\n"
LARGE = b"x" * 100_000  # more than is held back

Script = Callable[[socket.socket], None]


class Application:
    """Plays a script after each request, then closes."""

    def __init__(self, path: Path) -> None:
        self.script: Script = lambda connection: None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def says(self, *pieces: bytes) -> None:
        """From now on this is the answer."""
        self.script = lambda connection: connection.sendall(b"".join(pieces))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while True:
                    kind, length, padding = struct.unpack(">xBxxHBx", stream.read(8))
                    stream.read(length + padding)
                    if kind == STDIN and not length:
                        break
                self.script(connection)


def out(data: bytes) -> bytes:
    """STDOUT records."""
    return b"".join(record(STDOUT, data[at : at + 60_000]) for at in range(0, len(data), 60_000))


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    application = Application(tmp_path_factory.getbasetemp() / "truth.sock")
    yield application
    application.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, application: Application) -> Iterator[Box]:
    directory = tmp_path_factory.mktemp("truth")
    with Box(directory) as box:
        yield box.serve(
            f'server.document-root = "{directory}"\nserver.modules = ("mod_fastcgi")\n'
            'fastcgi.server = ( "/" => (( "check-local" => "disable",\n'
            f'  "socket" => "{tmp_path_factory.getbasetemp()}/truth.sock" )) )\n'
        )


@pytest.mark.parametrize("length", [b"", b"Content-Length: 500000\r\n"])
def test_a_truncated_answer_is_visible(box: Box, application: Application, length: bytes) -> None:
    """Beyond what is held back: the last chunk, or the rest of the length, is missing."""
    application.says(out(HEAD + length + b"\r\n" + LARGE))
    with box.wire() as wire:
        wire.request("GET", "/cut")
        with pytest.raises(ProtocolViolation, match="the connection ended"):
            wire.answer()
    box.wait_log("GET /cut was cut in the middle of its answer")


def test_a_client_that_could_not_see_it_gets_a_reset(box: Box, application: Application) -> None:
    """For HTTP/1.0 the end of the connection is the end of the body."""
    application.says(out(HEAD + b"\r\n" + LARGE))
    with box.wire() as wire:
        wire.send(b"GET /old HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while wire.sock.recv(65536):
                pass


@pytest.mark.parametrize("sent", [out(HEAD + b"\r\nshort"), out(HEAD), b""])
def test_a_short_answer_without_its_end_is_none(box: Box, application: Application, sent: bytes) -> None:
    application.says(sent)
    assert box.fetch("/short").status == 502


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (record(STDOUT, HEAD + b"\r\nx", 2) + record(END_REQUEST, bytes(8), 2), "STDOUT for request 2"),
        (out(HEAD + b"\r\nx") + record(END_REQUEST, bytes(8), 3), "END_REQUEST for request 3"),
        (record(STDERR, b"x", 7) + END, "STDERR for request 7"),
        (record(BEGIN_REQUEST, bytes(8)), "BEGIN_REQUEST, which only a web server may send"),
        (record(PARAMS, b""), "PARAMS, which only a web server may send"),
        (out(HEAD + b"\r\nx") + END + b"more", "4 octets after the end of its answer"),
    ],
)
def test_records_that_are_not_for_us(box: Box, application: Application, sent: bytes, said: str) -> None:
    application.says(sent)
    assert box.fetch("/odd").status == 502
    box.wait_log(said)


@pytest.mark.parametrize("status", [CANNOT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE])
def test_a_refusal_of_the_protocol(box: Box, application: Application, status: int) -> None:
    application.says(record(END_REQUEST, struct.pack(">IB3x", 0, status)))
    assert box.fetch(f"/refused{status}").status == 502
    assert f"(status {status})" in box.wait_log(f"GET /refused{status} answered with 502")


def test_what_concerns_one_connection_only_stops_here(box: Box, application: Application) -> None:
    fields = (
        b"Keep-Alive: timeout=5\r\nConnection: X-Private\r\nX-Private: 1\r\nProxy-Connection: x\r\n"
        b"Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nUpgrade: h2c\r\nTE: trailers\r\n"
        b"Trailer: X\r\nTransfer-Encoding: chunked\r\nX-Public: 2\r\n"
    )
    application.says(out(HEAD + fields + b"\r\n5\r\nhello\r\n0\r\n\r\n"), END)
    answer = box.fetch("/fields")
    assert answer.body == b"hello"
    names = {name.lower() for name, _ in answer.headers}
    assert names == {"content-type", "x-public", "content-length", "server", "date"}


def test_early_hints_pass(box: Box, application: Application) -> None:
    application.says(out(b"Status: 103\r\nLink: </a.css>; rel=preload\r\n\r\n" + HEAD + b"\r\nhello"), END)
    with box.wire() as wire:
        hints = wire.request("GET", "/hints").any_answer()
        assert (hints.status, hints.header("Link")) == (103, "</a.css>; rel=preload")
        assert wire.answer().body == b"hello"
        wire.send(b"GET /hints HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert wire.any_answer().status == 200  # HTTP/1.0 does not know them


def test_errors_are_logged_with_their_request(box: Box, application: Application) -> None:
    errors = (
        record(STDERR, b"first li") + record(STDERR, b"ne\nsecond line\nunfin") + record(STDERR, b"ished")
    )
    application.says(errors, out(HEAD + b"\r\nx"), END)
    assert box.fetch("/complains?why").status == 200
    for line in ("first line", "second line", "unfinished"):
        box.wait_log(f"GET /complains?why: {line}")
