"""Where a streamed body is written: it frames the pieces and makes a wrong length visible.

A body longer than announced is cut at its length; one that ends early, or fails, cuts the connection, so that
no client takes it for complete (RFC 9112 section 8).
"""

from __future__ import annotations

from typing import Protocol

HIGH_WATER = 262144  # octets waiting for the client at which a stream is asked to pause
LOW_WATER = 65536  # octets at which it is asked to go on


class Outlet(Protocol):
    """The connection behind a sink."""

    def stream_data(self, data: bytes) -> int:
        """Queue octets as they are; the number of octets waiting for the client."""

    def stream_end(self, complete: bool) -> None:
        """Nothing more comes; not complete: end the connection so that the client sees it."""


class Sink:
    """A `StreamSink` for one response."""

    __slots__ = ("_chunked", "_left", "_open", "_outlet")

    def __init__(self, outlet: Outlet, length: int | None, chunked: bool) -> None:
        self._outlet = outlet
        self._left = length
        self._chunked = chunked
        self._open = True

    @property
    def is_delimited(self) -> bool:
        """The client can tell the end of the body without the end of the connection."""
        return self._chunked or self._left is not None

    def write(self, data: bytes) -> bool:
        """Take more of the body; False asks for a pause until the stream's `resume`."""
        if not self._open or not data:
            return True
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        return self._outlet.stream_data(data) < HIGH_WATER

    def finish(self) -> None:
        """The body is complete, if it has the length that was announced."""
        if not self._open:
            return
        self._open = False
        if self._chunked:
            self._outlet.stream_data(b"0\r\n\r\n")
        self._outlet.stream_end(not self._left)

    def fail(self) -> None:
        """The body will never be complete."""
        if self._open:
            self._open = False
            self._outlet.stream_end(False)

    def detach(self) -> None:
        """The client has gone: swallow whatever is still written."""
        self._open = False
