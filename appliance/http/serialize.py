"""The octets of a response head (RFC 9112 sections 4 and 5)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate

from appliance.http.request import Request
from appliance.http.response import Header, Response, reason_phrase

BODYLESS = frozenset((204, 304))  # answers that never have a body (RFC 9110 sections 15.3.5 and 15.4.5)

_status_lines: dict[int, bytes] = {}


def status_line(status: int) -> bytes:
    """`HTTP/1.1 200 OK` with its line end."""
    line = _status_lines.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} {reason_phrase(status)}\r\n".encode("ascii")
        _status_lines[status] = line
    return line


class Tail:
    """The fields that are the same for every response of one second: Server and Date, and the end of the
    head.
    """

    __slots__ = ("_block", "_second", "_tag")

    def __init__(self, tag: str) -> None:
        self._tag = f"Server: {tag}\r\n".encode("latin-1") if tag else b""
        self._second = 0
        self._block = b""

    def octets(self) -> bytes:
        """Server and Date lines followed by the empty line."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._block = b"%bDate: %b\r\n\r\n" % (self._tag, formatdate(second, usegmt=True).encode("ascii"))
        return self._block


class Fields(list[Header]):
    """Header fields that are sent again and again: their lines are made once. Never changed after that."""

    __slots__ = ("lines",)

    def __init__(self, headers: Iterable[Header]) -> None:
        super().__init__(headers)
        self.lines = b"".join([b"%b: %b\r\n" % header for header in self])


def field_lines(headers: list[Header]) -> bytes:
    """Header fields as lines."""
    if type(headers) is Fields:
        return headers.lines
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Framing:
    """How one response is delimited (RFC 9112 section 6.3), and its head."""

    __slots__ = ("_lines", "_modern", "bodyless", "chunked", "length", "persistent")

    def __init__(self, lines: list[bytes], modern: bool, bodyless: bool, length: int | None) -> None:
        self._lines = lines
        self._modern = modern
        self.bodyless = bodyless  # no octets of a body follow
        self.length = length  # octets of the body; None: not known before its end
        self.chunked = False
        self.persistent = True  # the end of the body can be told without closing the connection

    def head(self, keep: bool, tail: bytes) -> bytes:
        """The octets of the head, with what it says about the connection."""
        lines = self._lines
        if not keep:
            lines.append(b"Connection: close\r\n")
        elif not self._modern:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(tail)
        return b"".join(lines)


def frame(request: Request, response: Response) -> Framing:
    """Decide how the body of a response ends."""
    status, body = response.status, response.body
    lines = [status_line(status)]
    if response.headers:
        lines.append(field_lines(response.headers))
    modern = request.version == "HTTP/1.1"
    length = response.length
    if length is None:
        length = len(body) if isinstance(body, bytes) else body.length
    without = status in BODYLESS
    framing = Framing(lines, modern, without or request.method == "HEAD", length)
    framing.persistent = request.keep_alive and not response.close
    if without:
        return framing
    if length is not None:
        lines.append(b"Content-Length: %d\r\n" % length)
    elif not framing.bodyless:
        if modern:
            framing.chunked = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
        else:
            framing.persistent = False
    return framing
