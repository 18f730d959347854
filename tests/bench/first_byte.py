"""How much later the first octet of a streamed answer comes through us than straight from the application.

The application (this module, run with the path of a socket) writes the beginning of an event stream at once
and its end a moment later. It is asked directly and through us in turn, each time on a new connection to it.
"""

from __future__ import annotations

import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from appliance.gateway.records import END_REQUEST, STDIN, STDIN_END, STDOUT, pair, record, request_head
from tests.box import Box
from tests.http_client import Wire
from tests.waiting import until

EVENT = b"data: now\n\n"
BEGINNING = record(STDOUT, b"Content-Type: text/event-stream\r\n\r\n" + EVENT)
REST = 0.01  # seconds until the end of each answer
PARAMETERS = b"".join(
    pair(name, value)
    for name, value in ((b"REQUEST_METHOD", b"GET"), (b"SCRIPT_NAME", b"/"), (b"CONTENT_LENGTH", b"0"))
)


def extra_wait(place: Path, times: int = 500) -> tuple[float, float]:
    """Median milliseconds to the first octet: directly, and through us."""
    path = place / "first-byte.sock"
    application = subprocess.Popen([sys.executable, "-m", "tests.bench.first_byte", str(path)])
    try:
        until(path.exists, problem="the application does not start")
        with Box(place / "first-byte") as box:
            box.serve(
                f'server.document-root = "{place}"\nserver.modules = ("mod_fastcgi")\n'
                f'fastcgi.server = ( "/" => (( "socket" => "{path}", "check-local" => "disable" )) )\n'
            )
            with box.wire() as wire:
                waits: tuple[list[float], list[float]] = ([], [])
                for number in range(times + 50):
                    found = timed(lambda: _directly(path)), timed(lambda: _through(wire))
                    if number >= 50:  # the first ones warm up
                        for list_, seconds in zip(waits, found, strict=True):
                            list_.append(seconds * 1e3)
        direct, through = map(statistics.median, waits)
        return direct, through
    finally:
        application.terminate()
        application.wait()


def timed(ask: Callable[[], float]) -> float:
    """Seconds from the call to the moment that it returns."""
    start = time.perf_counter()
    return ask() - start


def _directly(path: Path) -> float:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request_head(PARAMETERS, False) + STDIN_END)
        seen = b""
        while EVENT not in seen:
            seen += connection.recv(65536)
        arrived = time.perf_counter()
        while connection.recv(65536):
            pass
    return arrived


def _through(wire: Wire) -> float:
    wire.request("GET", "/")
    while EVENT not in wire.buffer:
        wire.buffer += wire.sock.recv(65536)
    arrived = time.perf_counter()
    assert wire.answer().body == EVENT
    return arrived


def serve(path: str) -> None:
    """The application."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                while head := stream.read(8):
                    kind, length, padding = struct.unpack(">xBxxHBx", head)
                    stream.read(length + padding)
                    if kind == STDIN and not length:
                        connection.sendall(BEGINNING)
                        time.sleep(REST)
                        connection.sendall(record(END_REQUEST, bytes(8)))
                        break


if __name__ == "__main__":
    serve(sys.argv[1])
