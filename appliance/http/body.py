"""The body of a request as it arrives: length-delimited or chunked (RFC 9112 sections 6 and 7.1). Sans-I/O.

Trailer fields are read, bounded and dropped: they never become header fields.
"""

from __future__ import annotations

import enum

MAX_CHUNK_LINE = 4096  # octets of chunk size and extensions
MAX_TRAILER = 8192  # octets of all trailer fields


class BadBody(Exception):
    """The framing of a body is wrong; nothing after it can be trusted, so the connection ends (400)."""


class LengthBody:
    """Exactly `length` octets."""

    __slots__ = ("_left", "complete")

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The pieces of the body in `data`, and what comes after it (nothing while it is not complete)."""
        if len(data) < self._left:
            self._left -= len(data)
            return [data], b""
        left, self._left = self._left, 0
        self.complete = True
        return ([data[:left]] if left else []), data[left:]


class _State(enum.Enum):
    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILER = "trailer"


_HEX = frozenset(b"0123456789abcdefABCDEF")


class ChunkedBody:
    """A chunked body; refuses what two readers could read in two ways (bare LF, a sign, a blank)."""

    __slots__ = ("_buffer", "_left", "_state", "_trailer", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._state = _State.SIZE
        self._buffer = b""
        self._left = 0
        self._trailer = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Like `LengthBody.feed`. Raises BadBody."""
        buffer = self._buffer + data if self._buffer else data
        position = 0
        pieces: list[bytes] = []
        while not self.complete:
            if self._state is _State.DATA:
                piece = buffer[position : position + self._left]
                if piece:
                    pieces.append(piece)
                    position += len(piece)
                    self._left -= len(piece)
                if self._left:
                    break
                self._state = _State.DATA_END
            elif self._state is _State.DATA_END:
                end = buffer[position : position + 2]
                if len(end) < 2:
                    if end not in (b"", b"\r"):
                        raise BadBody("a chunk is longer than its size says")
                    break
                if end != b"\r\n":
                    raise BadBody("a chunk is longer than its size says")
                position += 2
                self._state = _State.SIZE
            else:
                line_end = buffer.find(b"\n", position)
                if line_end < 0:
                    self._check_line_length(len(buffer) - position)
                    break
                self._check_line_length(line_end - position)
                if line_end == position or buffer[line_end - 1] != 0x0D:
                    raise BadBody("a line of the chunked body ends without CR")
                self._line(buffer[position : line_end - 1])
                position = line_end + 1
        self._buffer = b"" if self.complete else buffer[position:]
        return pieces, buffer[position:] if self.complete else b""

    def _check_line_length(self, length: int) -> None:
        if length > MAX_CHUNK_LINE:
            raise BadBody(f"a line of the chunked body is longer than {MAX_CHUNK_LINE} octets")

    def _line(self, line: bytes) -> None:
        if self._state is _State.TRAILER:
            self._trailer += len(line)
            if self._trailer > MAX_TRAILER:
                raise BadBody(f"the trailer fields are longer than {MAX_TRAILER} octets")
            self.complete = not line
            return
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not 1 <= len(digits) <= 15 or not _HEX.issuperset(digits):
            raise BadBody("a chunk size is not a hexadecimal number")
        self._left = int(digits, 16)
        self._state = _State.DATA if self._left else _State.TRAILER
