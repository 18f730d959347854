"""SCGI as an application hears it: one netstring of headers, then the body, one request per connection.

https://python.ca/scgi/protocol.txt: CONTENT_LENGTH comes first, `SCGI` is "1"; names and values end with NUL.
"""

from __future__ import annotations

from typing import Callable

from appliance.application.records import PARAMS_LIMIT, ProtocolError

_LENGTH_DIGITS = 9


class Receiver:
    """What arrives on one connection: feed octets until `complete`."""

    def __init__(self, body: Callable[[], Callable[[bytes], object]]) -> None:
        """`body` is called when the headers are complete and returns what takes the body, piece by piece."""
        self._open_body = body
        self._buffer = b""
        self._headers_end: int | None = None  # the position of the comma in the buffer
        self._left = -1  # of the body; -1: the headers are not complete
        self._stdin: Callable[[bytes], object] = bytes
        self.parameters: dict[bytes, bytes] = {}
        self.complete = False

    @property
    def idle(self) -> bool:
        """Nothing has come."""
        return not self._buffer and self._left < 0

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises ProtocolError for what is not SCGI."""
        if self._left < 0:
            self._buffer += data
            data = self._take_headers()
        if self._left > 0 and data:
            piece = data[: self._left]  # what follows the body is nobody's
            self._left -= len(piece)
            self._stdin(piece)
        self.complete = self._left == 0

    def _take_headers(self) -> bytes:
        """Parse the headers if they are here; return what follows them."""
        if self._headers_end is None:
            digits, colon, _ = self._buffer[: _LENGTH_DIGITS + 1].partition(b":")
            if not colon and len(self._buffer) <= _LENGTH_DIGITS and (digits.isdigit() or not digits):
                return b""
            if not colon or not digits.isdigit():
                raise ProtocolError(
                    f"not SCGI but {self._buffer[:16]!r}: does the web server speak SCGI here?"
                )
            if int(digits) > PARAMS_LIMIT:
                raise ProtocolError(
                    f"the request's head has {int(digits)} octets, over the limit of {PARAMS_LIMIT}"
                )
            self._headers_end = len(digits) + 1 + int(digits)
        if len(self._buffer) <= self._headers_end:
            return b""
        headers = self._buffer[self._buffer.index(b":") + 1 : self._headers_end]
        if self._buffer[self._headers_end : self._headers_end + 1] != b"," or not headers.endswith(b"\0"):
            raise ProtocolError("the netstring of an SCGI request does not end where it should")
        words = headers[:-1].split(b"\0")
        if len(words) % 2:
            raise ProtocolError("an SCGI request has a header without a value")
        self.parameters = dict(zip(words[::2], words[1::2]))
        length = self.parameters.get(b"CONTENT_LENGTH", b"")
        if self.parameters.get(b"SCGI") != b"1" or not length.isdigit():
            raise ProtocolError("an SCGI request needs SCGI=1 and a CONTENT_LENGTH")
        rest = self._buffer[self._headers_end + 1 :]
        self._buffer = b""
        self._left = int(length)
        self._stdin = self._open_body()
        return rest
