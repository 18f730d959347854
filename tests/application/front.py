"""A front made of bare bytes: FastCGI and SCGI as a web server sends them, and what it may expect.

Records are built and read here by hand, not with the codec under test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.box import ROOT, clean_environment
from tests.http_client import connect
from tests.waiting import until

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, VALUES, UNKNOWN = range(1, 12)


def record(kind: int, content: bytes = b"", request_id: int = 1, padding: int = 0) -> bytes:
    """One record."""
    return struct.pack(">BBHHBB", 1, kind, request_id, len(content), padding, 0) + content + b"P" * padding


def begin(request_id: int = 1, keep: bool = False, role: int = 1) -> bytes:
    """BEGIN_REQUEST."""
    return record(BEGIN, struct.pack(">HB5x", role, int(keep)), request_id)


def pairs(parameters: Mapping[str, str]) -> bytes:
    """Name-value pairs, always with long lengths."""
    encoded = []
    for name, value in parameters.items():
        octets = name.encode(), value.encode("utf-8")
        encoded += [struct.pack(">I", len(octet) | 1 << 31) for octet in octets]
        encoded += octets
    return b"".join(encoded)


def parameters(path: str = "/", method: str = "GET", **more: str) -> dict[str, str]:
    """The parameters of a request to `path`."""
    path, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "front.example",
        "REMOTE_ADDR": "192.0.2.7",
        **more,
    }


def request(
    given: Mapping[str, str],
    body: bytes = b"",
    *,
    keep: bool = False,
    request_id: int = 1,
    piece: int = 65535,
) -> bytes:
    """All records of a request."""
    given = {"CONTENT_LENGTH": str(len(body)), **given}
    stdin = [record(STDIN, body[i : i + piece], request_id) for i in range(0, len(body), piece)]
    head = (
        begin(request_id, keep) + record(PARAMS, pairs(given), request_id) + record(PARAMS, b"", request_id)
    )
    return head + b"".join(stdin) + record(STDIN, b"", request_id)


@dataclass
class Reply:
    """The answer to one request. `ended` is the protocol status of END_REQUEST, None without one."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stderr: str = ""
    ended: int | None = None


def parse(octets: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of a CGI answer."""
    head, _, body = octets.partition(b"\r\n\r\n")
    headers = {}
    for line in head.decode("latin-1").split("\r\n") if head else []:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return int(headers.pop("status", "0")[:3]), headers, body


class Front:
    """One connection to an application."""

    def __init__(self, address: str | tuple[str, int], timeout: float = 20.0) -> None:
        self.sock = connect(address, timeout)
        self.buffer = b""

    def __enter__(self) -> Front:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, octets: bytes) -> Front:
        self.sock.sendall(octets)
        return self

    def ask(self, path: str = "/", body: bytes = b"", *, keep: bool = False, **more: str) -> Reply:
        """One request and its answer."""
        method = "POST" if body else "GET"
        return self.send(request(parameters(path, **{"method": method, **more}), body, keep=keep)).reply()

    def record(self) -> tuple[int, int, bytes] | None:
        """The next record as (type, request id, content); None at the end of the connection."""
        header = self._exactly(8)
        if not header:
            return None
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", header)
        assert version == 1
        return kind, request_id, self._exactly(length + padding)[:length]

    def reply(self, request_id: int = 1) -> Reply:
        """Read the answer to one request, until its END_REQUEST or the end of the connection."""
        output, errors = b"", b""
        reply = Reply()
        while (found := self.record()) is not None:
            kind, number, content = found
            assert number == request_id, found
            if kind == END:
                app_status, reply.ended = struct.unpack(">IB3x", content)
                assert app_status == 0
                break
            assert kind in (STDOUT, STDERR), found
            output += content if kind == STDOUT else b""
            errors += content if kind == STDERR else b""
        reply.status, reply.headers, reply.body = parse(output)
        reply.stderr = errors.decode()
        return reply

    def closed(self) -> bool:
        """Whether the application ends the connection without another octet."""
        return self._exactly(1) == b""

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert not self.buffer, f"cut inside a record: {self.buffer!r}"
                return b""
            self.buffer += data
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken


def scgi(
    address: str | tuple[str, int], given: Mapping[str, str], body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One SCGI request and its answer."""
    words = {"CONTENT_LENGTH": str(len(body)), "SCGI": "1", **given}
    head = b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in words.items())
    with connect(address, 20.0) as sock:
        sock.sendall(b"%d:%b,%b" % (len(head), head, body))
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return parse(answer)


class Process:
    """An application process under test with its socket and its standard error."""

    def __init__(
        self, words: list[str], address: str | tuple[str, int], log: Path, **environment: str
    ) -> None:
        self.address = address
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=ROOT,
                env={**clean_environment(), **environment},
            )
        until(self._listens, 30.0, f"nothing listens on {address}", self.log)

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log()}"
        try:
            connect(self.address, 1.0).close()
        except OSError:
            return False
        return True

    def log(self) -> str:
        """Its standard error."""
        return self._log.read_text("utf-8", "replace")

    def connect(self) -> Front:
        """A connection to it."""
        return Front(self.address)

    def ask(self, path: str = "/", body: bytes = b"", keep: bool = False, **more: str) -> Reply:
        """One request on a connection of its own."""
        with self.connect() as front:
            return front.ask(path, body, keep=keep, **more)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def end(self) -> None:
        """For the end of a test."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def wsgi(place: Path, protocol: str = "fcgi", **environment: str) -> Iterator[Process]:
    """A process that serves tests.application.applications on a unix socket."""
    path = str(place / f"{protocol}.sock")
    words = [sys.executable, "-m", "tests.application.applications", path, protocol]
    process = Process(words, path, place / f"{protocol}.log", **environment)
    try:
        yield process
    finally:
        process.end()


def holds_open(pid: int, prefix: str) -> list[str]:
    """The files below `prefix` that the process has open."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return [name for name in found if name.startswith(prefix)]
