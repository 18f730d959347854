"""HTTP clients for tests: `Wire` shows the exact bytes of one connection, `fetch` asks for one thing.

`Wire` never repairs what the server sends: it keeps every byte, and its parser refuses what RFC 9112 does not
allow, so that a test fails on an answer that a lenient client would accept.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

Address = tuple[str, int] | str
"""An Internet address and port, or the path of a unix socket."""

_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) (\d\d\d) ([^\x00-\x08\x0a-\x1f\x7f]*)")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")


class ProtocolViolation(AssertionError):
    """The server sent something that is not HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `raw` is every byte of it, as received."""

    status: int
    reason: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = field(repr=False, default=b"")
    trailers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """The value of the header `name`; several lines are joined as RFC 9110 section 5.3 allows."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def all(self, name: str) -> list[str]:
        """Every value of the header `name`, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def cookies(self) -> dict[str, str]:
        """Names and values that the Set-Cookie lines give."""
        pairs = (line.split(";", 1)[0].partition("=") for line in self.all("Set-Cookie"))
        return {name.strip(): value for name, _, value in pairs}


def connect(address: Address, timeout: float = 10.0) -> socket.socket:
    """A connected stream socket whose operations fail after `timeout` seconds."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        sock.connect(address)
        return sock
    return socket.create_connection(address, timeout)


class Wire:
    """One connection, byte by byte.

    `send` writes what it is given; `answer` reads one response; `closed` waits for the end. Several requests
    may be sent before the first answer is read (pipelining).
    """

    def __init__(self, address: Address, timeout: float = 10.0) -> None:
        self.sock = connect(address, timeout)
        self.buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Wire:
        self.sock.sendall(data)
        return self

    def send_slowly(self, data: bytes, piece: int = 1, pause: float = 0.0) -> Wire:
        """Write `data` in pieces of `piece` bytes, each in its own packet, `pause` seconds apart."""
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), piece):
            self.sock.sendall(data[start : start + piece])
            if pause:
                time.sleep(pause)
        return self

    def finish_sending(self) -> Wire:
        """Close our direction only, as `printf … | nc` does."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """End the connection with RST: the client that vanishes."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()

    def request(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Wire:
        """Write a request; Host and Content-Length are added unless `headers` has them."""
        return self.send(request_bytes(method, target, headers, body))

    def get(self, target: str, headers: Headers = ()) -> Answer:
        return self.request("GET", target, headers).answer()

    def answer(self, method: str = "GET") -> Answer:
        """Read the next final response; `method` is what it answers (HEAD has no body). 1xx are skipped."""
        while True:
            answer = self.any_answer(method)
            if answer.status >= 200 or answer.status == 101:
                return answer

    def any_answer(self, method: str = "GET") -> Answer:
        """Read the next response, 1xx included. Raises ProtocolViolation if it is malformed or cut off."""
        head = self._until(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        match = _STATUS_LINE.fullmatch(lines[0])
        if match is None:
            raise ProtocolViolation(f"not a status line: {lines[0]!r}")
        status = int(match[2])
        headers = _fields(lines[1:])
        length = [value for name, value in headers if name.lower() == "content-length"]
        coding = [value for name, value in headers if name.lower() == "transfer-encoding"]
        if len(length) > 1 or (length and coding) or (length and not re.fullmatch(r"\d+", length[0])):
            raise ProtocolViolation(f"ambiguous framing: {length} {coding}")
        body, framing = b"", b""
        trailers: tuple[tuple[str, str], ...] = ()
        if method == "HEAD" or status < 200 or status in (204, 304):
            pass
        elif coding:
            if coding != ["chunked"] or match[1] == b"HTTP/1.0":
                raise ProtocolViolation(f"Transfer-Encoding {coding} in {match[1]!r}")
            body, framing, trailers = self._chunked()
        elif length:
            body = framing = self._exactly(int(length[0]))
        else:
            body = framing = self._rest()
        return Answer(
            status,
            match[3].decode("latin-1"),
            match[1].decode(),
            headers,
            body,
            head + framing,
            trailers,
        )

    def octets(self, count: int) -> bytes:
        """The next octets, whatever they are: of another protocol after a 101."""
        return self._exactly(count)

    def closed(self, timeout: float = 10.0) -> bool:
        """Whether the server ends the connection within `timeout` seconds, sending nothing more."""
        if self.buffer:
            return False
        self.sock.settimeout(timeout)
        try:
            return not self._receive()
        except TimeoutError:
            return False

    def silent(self, seconds: float) -> bool:
        """Whether the server sends nothing for `seconds` and keeps the connection open."""
        if self.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self._receive()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(before)
        return False

    def _receive(self) -> bytes:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return data

    def _until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            if not self._receive():
                raise ProtocolViolation(f"the connection ended inside {self.buffer[-200:]!r}")
        found, _, self.buffer = self.buffer.partition(end)
        return found + end

    def _exactly(self, count: int) -> bytes:
        pieces = [self.buffer[:count]]
        self.buffer = self.buffer[count:]
        have = len(pieces[0])
        while have < count:
            data = self.sock.recv(min(1 << 20, count - have))
            if not data:
                raise ProtocolViolation(f"the connection ended after {have} of {count} bytes")
            pieces.append(data)
            have += len(data)
        return b"".join(pieces)

    def _rest(self) -> bytes:
        while self._receive():
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def _chunked(self) -> tuple[bytes, bytes, tuple[tuple[str, str], ...]]:
        """Body, raw bytes and trailers (RFC 9112 section 7.1)."""
        body, raw = [], []
        while True:
            line = self._until(b"\r\n")
            raw.append(line)
            if not re.fullmatch(rb"[0-9A-Fa-f]+(;[^\r\n]*)?\r\n", line):
                raise ProtocolViolation(f"not a chunk size: {line!r}")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            chunk = self._exactly(size + 2)
            raw.append(chunk)
            if not chunk.endswith(b"\r\n"):
                raise ProtocolViolation("a chunk does not end with CRLF")
            body.append(chunk[:-2])
        lines = []
        while (line := self._until(b"\r\n")) != b"\r\n":
            lines.append(line[:-2])
        raw.append(b"".join(line + b"\r\n" for line in lines) + b"\r\n")
        return b"".join(body), b"".join(raw), _fields(lines)


Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def _fields(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    found = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise ProtocolViolation(f"not a header line: {line!r}")
        found.append((match[1].decode(), match[2].decode("latin-1")))
    return tuple(found)


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def request_bytes(method: str, target: str, headers: Headers = (), body: bytes = b"") -> bytes:
    """A complete request; Host and (with a body) Content-Length are added unless `headers` has them."""
    pairs = _pairs(headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", "localhost"))
    if body and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def fetch(
    address: Address,
    target: str = "/",
    *,
    method: str = "GET",
    headers: Headers = (),
    body: bytes = b"",
    user: tuple[str, str] | None = None,
    timeout: float = 30.0,
) -> Answer:
    """One request on its own connection, through Python's client; `user` is a Basic name and password."""
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    connection.sock = connect(address, timeout)
    pairs = _pairs(headers)
    if user is not None:
        pairs.append(("Authorization", basic(*user)))
    names = {name.lower() for name, _ in pairs}
    try:
        connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in pairs:
            connection.putheader(name, value)
        if (body or method in ("POST", "PUT", "PATCH")) and not names & {
            "content-length",
            "transfer-encoding",
        }:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        data = response.read()
        version = "HTTP/1.1" if response.version == 11 else "HTTP/1.0"
        return Answer(response.status, response.reason, version, tuple(response.getheaders()), data)
    finally:
        connection.close()


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617, UTF-8)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def many(address: Address, count: int) -> Iterator[list[Wire]]:
    """`count` open connections."""
    wires: list[Wire] = []
    try:
        for _ in range(count):
            wires.append(Wire(address))
        yield wires
    finally:
        for wire in wires:
            wire.close()
