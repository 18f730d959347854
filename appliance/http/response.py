"""What answers a request: a status, header fields, and one of three kinds of body.

Framing fields (Content-Length, Transfer-Encoding, Connection, Keep-Alive), Date and Server are the
connection's business: handlers never set them. HEAD, 204 and 304 lose their body in the connection, not in
the handlers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from typing import Protocol

Header = tuple[bytes, bytes]
UNKNOWN = -1
"""The length of a body that the handler knows nothing about: an application's answer to HEAD."""


class OpenFile:
    """A regular file open for reading. Whoever holds the response closes it, once."""

    __slots__ = ("fd", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size  # octets, at the time of opening

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class FileBody:
    """Parts of one open file in order, with literal octets between them (multipart/byteranges, RFC 9110
    section 14.6); then perhaps parts of other files.
    """

    __slots__ = ("file", "length", "parts", "then")

    def __init__(
        self, file: OpenFile, parts: Sequence[bytes | tuple[int, int]], then: Sequence[FileBody] = ()
    ) -> None:
        self.file = file
        self.parts = parts  # bytes, or (offset, length) in the file
        self.then = then
        self.length = sum(len(part) if isinstance(part, bytes) else part[1] for part in parts)
        for body in then:
            self.length += body.length

    def close(self) -> None:
        """Give the descriptors back."""
        self.file.close()
        for body in self.then:
            body.close()


class StreamSink(Protocol):
    """Where a stream writes: the connection that carries the response."""

    def write(self, data: bytes) -> bool:
        """Take more of the body. False: enough for now, the stream's `resume` is called when there is room
        again.
        """

    def finish(self) -> None:
        """The body is complete."""

    def fail(self) -> None:
        """The body will never be complete: the client must be able to see that (connection cut, no last
        chunk).
        """


class StreamBody(Protocol):
    """A body that comes piece by piece. `length` is None when it is not known: chunked, or until close for
    HTTP/1.0.
    """

    length: int | None

    def start(self, sink: StreamSink) -> None:
        """The head is out; write to the sink from now on."""

    def resume(self) -> None:
        """The sink has room again."""

    def cancel(self) -> None:
        """The client has gone; nothing written from now on reaches anybody."""


class Response:
    """Status, header fields and body."""

    __slots__ = ("body", "close", "headers", "length", "status")

    def __init__(
        self,
        status: int,
        headers: list[Header] | None = None,
        body: bytes | FileBody | StreamBody = b"",
        *,
        close: bool = False,
        length: int | None = None,
    ) -> None:
        self.status = status
        self.headers = [] if headers is None else headers
        self.body = body
        self.close = close  # end the connection after this response
        # Octets of the body a HEAD request did not get, where the body itself is not here; or UNKNOWN.
        self.length = length

    def discard(self) -> None:
        """Release what the body holds without sending it."""
        body = self.body
        self.body = b""
        if isinstance(body, FileBody):
            body.close()
        elif not isinstance(body, bytes):
            body.cancel()


def reason_phrase(status: int) -> str:
    """The phrase for a status line; "" for statuses nobody registered (RFC 9112 section 4 allows that)."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{status} {phrase}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:12vh auto;padding:0 1em;color:#222}}
h1{{font-size:1.4em}}p{{color:#555}}
@media(prefers-color-scheme:dark){{body{{background:#181818;color:#eee}}p{{color:#aaa}}}}</style></head>
<body><h1>{status} {phrase}</h1>
<p>{text}</p></body>
</html>
"""


def error_response(
    status: int, text: str = "", headers: list[Header] | None = None, *, close: bool = False
) -> Response:
    """A small page of our own. `text` is for the visitor: what happened and what to do, never a path of this
    machine.
    """
    page = _PAGE.format(status=status, phrase=escape(reason_phrase(status)), text=escape(text))
    fields = [(b"Content-Type", b"text/html; charset=utf-8"), *(headers or [])]
    return Response(status, fields, page.encode(), close=close)
