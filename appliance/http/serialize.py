"""The octets of a response head (RFC 9112 sections 4 and 5)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate

from appliance.http.request import Request
from appliance.http.response import UNKNOWN, FileBody, Header, Response, StreamBody, reason_phrase

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
    """The header fields of a 200 answer that is given again and again: written once, never changed."""

    __slots__ = ("length", "lines", "start")

    def __init__(self, headers: Iterable[Header], length: int) -> None:
        """`length`: octets of the body."""
        super().__init__(headers)
        self.length = length
        self.lines = b"".join([b"%b: %b\r\n" % header for header in self])
        self.start = b"%b%bContent-Length: %d\r\n" % (status_line(200), self.lines, length)


def field_lines(headers: list[Header]) -> bytes:
    """Header fields as lines."""
    if type(headers) is Fields:
        return headers.lines
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def frame(
    request: Request, response: Response, may_keep: bool, tail: bytes
) -> tuple[bytes, int | None, bool, bool]:
    """Decide how the body of a response ends (RFC 9112 section 6.3).

    Returns the head, the length of the body in octets (None: not known before its end), whether it is
    chunked, and whether the connection stays open.
    """
    status, body, headers, length = response.status, response.body, response.headers, response.length
    keep = may_keep and request.keep_alive and not response.close
    modern = request.version == "HTTP/1.1"
    chunked = False
    if type(headers) is Fields and status == 200 and length is None:
        if keep and modern:  # the most frequent answer: a small file
            return headers.start + tail, headers.length, False, True
        length = headers.length
    if length is None:
        length = len(body) if type(body) is bytes else _length(body)
    elif length == UNKNOWN:
        length = None
    if type(headers) is Fields and status == 200 and length == headers.length:
        start = headers.start
    else:
        start = status_line(status) + field_lines(headers)
        if status in BODYLESS:
            pass
        elif length is not None:
            start += b"Content-Length: %d\r\n" % length
        elif request.method != "HEAD":
            if modern:
                chunked = True
                start += b"Transfer-Encoding: chunked\r\n"
            else:
                keep = False  # only its end can tell an HTTP/1.0 client that the body is over
    if not keep:
        start += b"Connection: close\r\n"
    elif not modern:
        start += b"Connection: keep-alive\r\n"
    return start + tail, length, chunked, keep


def _length(body: bytes | FileBody | StreamBody) -> int | None:
    return len(body) if isinstance(body, bytes) else body.length
