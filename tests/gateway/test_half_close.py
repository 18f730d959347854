"""tcp-fin-propagate: a client that is done sending is not gone, and the application hears of it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.gateway.records import END_REQUEST, STDIN, STDOUT, record
from appliance.handlers.duplex import DuplexCall
from tests.box import Box

END = record(END_REQUEST, bytes(8))
PAGE = record(STDOUT, b"Content-Type: text/plain\r\n\r\nstill wanted")


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen(8)
        listener.settimeout(10)
        yield listener


@pytest.fixture
def box(tmp_path: Path, listener: socket.socket) -> Iterator[Box]:
    common = f'"socket" => "{tmp_path}/a.sock", "check-local" => "disable"'
    with Box(tmp_path / "box") as box:
        yield box.serve(
            f'server.document-root = "{tmp_path}"\nserver.modules = ("mod_fastcgi")\n'
            f'fastcgi.server = ( "/told" => (( {common}, "tcp-fin-propagate" => "enable" )),\n'
            f'  "/not" => (( {common} )) )\n'
        )


def request(connection: socket.socket) -> bytes:
    """Read a whole request; its body."""
    connection.settimeout(10)
    stream = connection.makefile("rb")
    body = b""
    while True:
        kind, length, padding = struct.unpack(">xBxxHBx", stream.read(8))
        content = stream.read(length + padding)[:length]
        if kind == STDIN:
            if not content:
                return body
            body += content


@pytest.mark.holds("tcp-fin-propagate")
@pytest.mark.parametrize("body", [b"", b"x" * 200_000])
def test_it_is_told_and_answers(box: Box, listener: socket.socket, body: bytes) -> None:
    with box.wire() as wire:
        wire.request("POST", "/told", body=body).finish_sending()
        connection, _ = listener.accept()
        with connection:
            assert request(connection) == body
            assert connection.recv(1) == b""  # our direction is shut down
            connection.sendall(PAGE + END)
        answer = wire.answer("POST")
        assert (answer.body, answer.header("Connection")) == (b"still wanted", "close")
        assert wire.closed()


def test_it_may_come_late(box: Box, listener: socket.socket) -> None:
    """While the application works, and while its answer is under way."""
    with box.wire() as wire:
        wire.request("GET", "/told")
        connection, _ = listener.accept()
        with connection:
            request(connection)
            wire.finish_sending()
            assert connection.recv(1) == b""
            connection.sendall(record(STDOUT, b"Content-Length: 200000\r\n\r\n" + b"x" * 50_000))
            for _ in range(3):
                connection.sendall(record(STDOUT, b"x" * 50_000))
            connection.sendall(END)
        assert wire.answer().body == b"x" * 200_000


def test_otherwise_such_a_client_has_left(box: Box, listener: socket.socket) -> None:
    with box.wire() as wire:
        wire.request("GET", "/not")
        connection, _ = listener.accept()
        with connection:
            request(connection)
            wire.finish_sending()
            assert wire.closed()


def test_half_a_body_is_no_request(box: Box, listener: socket.socket) -> None:
    with box.wire() as wire:
        wire.send(b"POST /told HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc").finish_sending()
        assert wire.closed()
    listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_nobody_is_told_after_the_answer() -> None:
    """A call is over if it was answered without an application: a full queue, a host that is down."""
    later: list[Any] = []
    exchange: Any = SimpleNamespace(
        request=SimpleNamespace(version="HTTP/1.0", content_length=0),
        is_answered=False,
        call_later=lambda seconds, callback: later.append(callback),
    )
    host: Any = SimpleNamespace(
        definition=SimpleNamespace(name="pool", x_sendfile=False, protocol="fastcgi", tcp_fin_propagate=True)
    )
    scope: Any = None
    split: Any = None
    call = DuplexCall(exchange, scope, host, split)
    call._half_closed()
    assert len(later) == 1
    exchange.is_answered = True
    later.pop()()
    assert not later
