"""Answers that go out as they come: at once, and without more memory than a slow client is worth."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.gateway.records import END_REQUEST, STDIN, STDOUT, record
from tests.box import Box

END = record(END_REQUEST, bytes(8))
SIZE = 200 << 20
PIECE = record(STDOUT, b"x" * 65528)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen(8)
        listener.settimeout(10)
        yield listener


def serve(box: Box, place: Path, extra: str = "") -> Box:
    return box.serve(
        f'server.document-root = "{place}"\nserver.modules = ("mod_fastcgi")\n{extra}'
        f'fastcgi.server = ( "/" => (( "socket" => "{place}/a.sock", "check-local" => "disable" )) )\n'
        '$HTTP["host"] == "one" { server.stream-response-body = 1 }\n'
        '$HTTP["host"] == "two" { server.stream-response-body = 2 }\n'
    )


def accepted(listener: socket.socket) -> socket.socket:
    """A connection whose request has been read."""
    connection, _ = listener.accept()
    connection.settimeout(60)
    stream = connection.makefile("rb")
    while True:
        kind, length, padding = struct.unpack(">xBxxHBx", stream.read(8))
        stream.read(length + padding)
        if kind == STDIN and not length:
            return connection


@pytest.mark.holds("server.stream-response-body")
@pytest.mark.parametrize(
    ("host", "fields"),
    [
        ("one", b"Content-Type: text/plain\r\n"),
        ("two", b"Content-Type: text/plain\r\n"),
        ("plain", b"Content-Type: text/plain\r\nX-Accel-Buffering: no\r\n"),
        ("plain", b"Content-Type: text/event-stream; charset=utf-8\r\n"),
    ],
)
def test_every_piece_goes_out_at_once(
    tmp_path: Path, listener: socket.socket, host: str, fields: bytes
) -> None:
    with Box(tmp_path / "box") as box, serve(box, tmp_path).wire() as wire:
        wire.request("GET", "/", {"Host": host})
        with accepted(listener) as connection:
            for number, text in enumerate((b"first", b"second", b"third")):
                connection.sendall(record(STDOUT, (b"" if number else fields + b"\r\n") + text))
                # Only then comes the next one: it was not waited for.
                while text not in wire.buffer:
                    wire.buffer += wire.sock.recv(65536)
            connection.sendall(END)
        assert wire.answer().body == b"firstsecondthird"


@pytest.mark.slow
@pytest.mark.parametrize("host", ["two", "one", "plain"])
def test_memory_is_bounded_for_a_client_that_reads_slowly(
    tmp_path: Path, listener: socket.socket, host: str
) -> None:
    """200 MB: level 2 makes the application wait, the others take a file on the disk."""
    with Box(tmp_path / "box") as box, serve(box, tmp_path).wire() as wire:
        wire.request("GET", "/", {"Host": "warm"})
        with accepted(listener) as connection:
            connection.sendall(record(STDOUT, b"\r\n" + b"x" * 60_000) + END)
        wire.answer()
        front = box.front_pid()
        before = resident(front)
        wire.sock.settimeout(60)
        wire.request("GET", "/", {"Host": host})
        with accepted(listener) as connection:
            most = 0
            sent = [0]

            def produce() -> None:
                connection.sendall(record(STDOUT, b"Content-Length: %d\r\n\r\n" % SIZE))
                left = SIZE
                while left > 0:
                    count = min(left, 65528)
                    connection.sendall(PIECE if count == 65528 else record(STDOUT, b"x" * count))
                    left -= count
                    sent[0] = SIZE - left
                connection.sendall(END)

            producer = threading.Thread(target=produce)
            producer.start()
            head = b""
            while b"\r\n\r\n" not in head:
                head += wire.sock.recv(1)
            producer.join(3)  # what we do not read piles up somewhere, or is held back
            if host == "two":
                assert sent[0] < 16 << 20
            got = reads = 0
            while got < SIZE:
                data = wire.sock.recv(1 << 20)
                assert data
                got += len(data)
                reads += 1
                if reads % 256 == 0:
                    most = max(most, resident(front) - before)
            producer.join(10)
        assert got == SIZE
        print(f"{most >> 10} KiB more")
        assert most < 2 << 20


def resident(pid: int) -> int:
    """Octets of memory that a process has at the moment."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
