"""The chunked coding in an application's answer, undone (RFC 9112 section 7.1).

CGI knows no transfer coding, but some programs answer as if they were web servers; lighttpd decodes it, so do
we.
"""

from __future__ import annotations

import re

from appliance.gateway.errors import ProtocolError

_LONGEST_LINE = 8192  # a chunk's size and its extensions, or one trailer field
_MOST_TRAILERS = 100
_size_line = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?").fullmatch


class Decoder:
    """Takes coded octets, returns the body's. `ended`: the last chunk and its trailers have come."""

    __slots__ = ("_after", "_left", "_line", "_trailers", "ended")

    def __init__(self) -> None:
        self._left = 0  # octets of the current chunk still to come
        self._after = False  # the line end after a chunk's data is due
        self._trailers = -1  # trailer fields seen; -1 before the last chunk
        self._line = b""
        self.ended = False

    def feed(self, data: bytes) -> list[bytes]:
        """Decode more. Raises ProtocolError for a malformed chunk, and for octets after the end."""
        body = []
        position, size = 0, len(data)
        while position < size:
            if self.ended:
                raise ProtocolError(
                    f"the application sent {size - position} octets after the last chunk of its answer"
                )
            if self._left:
                part = data[position : position + self._left]
                position += len(part)
                self._left -= len(part)
                self._after = not self._left
                body.append(part)
                continue
            stop = data.find(b"\n", position)
            line = self._line + (data[position:] if stop < 0 else data[position:stop])
            if len(line) > _LONGEST_LINE:
                raise ProtocolError(f"the application sent a chunk line of more than {_LONGEST_LINE} octets")
            if stop < 0:
                self._line = line
                break
            self._line = b""
            position = stop + 1
            self._take(line)
        return body

    def _take(self, line: bytes) -> None:
        if self._after:
            if line not in (b"", b"\r"):
                raise ProtocolError(f"the application sent {line[:40]!r} in place of the end of a chunk")
            self._after = False
        elif self._trailers >= 0:
            # Trailers are dropped: they must not become header fields (RFC 9110 section 6.5.1).
            self._trailers += 1
            if line in (b"", b"\r"):
                self.ended = True
            elif self._trailers > _MOST_TRAILERS:
                raise ProtocolError(f"the application sent more than {_MOST_TRAILERS} trailer fields")
        else:
            matched = _size_line(line)
            if matched is None:
                raise ProtocolError(f"the application sent the malformed chunk size {line[:40]!r}")
            self._left = int(matched[1], 16)
            if not self._left:
                self._trailers = 0
