"""FastCGI 1.0 as an application hears it: octets in, one request out, no sockets.

A `Receiver` is one connection. It passes STDIN on as it comes, so that an upload costs linear time and no
memory here, and answers by itself what concerns no request: management records (section 4) and what we refuse
(a second request at the same time, roles other than the responder's; section 5.5). Records of a request that
is not active are ignored (section 3.3).
"""

from __future__ import annotations

import struct
from typing import Callable, Iterator

VERSION = 1
BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11

RESPONDER = 1
KEEP_CONNECTION = 1

REQUEST_COMPLETE, CANNOT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)

PARAMS_LIMIT = 256 * 1024
"""Octets of name-value pairs of one request; what is more is answered 431."""

LARGEST_PIECE = 65528
"""Content of one of our records: the most that needs no padding to eight octets."""

# One request at a time, one connection that matters (section 4.1).
_VALUES = {b"FCGI_MAX_CONNS": b"1", b"FCGI_MAX_REQS": b"1", b"FCGI_MPXS_CONNS": b"0"}

_header = struct.Struct(">BBHHBx")
_unpack_header = struct.Struct(">BBHHB").unpack_from


class ProtocolError(Exception):
    """The peer does not speak the protocol: the connection is of no further use."""


def record(kind: int, request_id: int, content: bytes = b"") -> bytes:
    """One record without padding; `content` has at most 65535 octets."""
    return _header.pack(VERSION, kind, request_id, len(content), 0) + content


def stream(kind: int, request_id: int, data: bytes) -> list[bytes]:
    """`data` as records of a stream. Nothing comes of nothing: an empty record would end the stream."""
    size = len(data)
    if size <= LARGEST_PIECE:
        return [_header.pack(VERSION, kind, request_id, size, 0), data] if size else []
    pieces: list[bytes] = []
    for start in range(0, size, LARGEST_PIECE):
        piece = data[start : start + LARGEST_PIECE]
        pieces += (_header.pack(VERSION, kind, request_id, len(piece), 0), piece)
    return pieces


def end_request(request_id: int, protocol_status: int = REQUEST_COMPLETE) -> bytes:
    """END_REQUEST; our application status is always 0."""
    return record(END_REQUEST, request_id, struct.pack(">IB3x", 0, protocol_status))


def pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name-value pairs of a complete stream (section 3.4). Raises ProtocolError if it ends inside one."""
    position, size = 0, len(data)
    while position < size:
        lengths = []
        for _ in range(2):
            if position >= size:
                raise ProtocolError("a name-value pair ends inside its lengths")
            length, width = data[position], 1
            if length >= 128:
                length, width = int.from_bytes(data[position : position + 4], "big") & 0x7FFFFFFF, 4
            position += width
            lengths.append(length)
        middle = position + lengths[0]
        end = middle + lengths[1]
        if end > size:
            raise ProtocolError("a name-value pair ends inside its content")
        yield data[position:middle], data[middle:end]
        position = end


def _pair(name: bytes, value: bytes) -> bytes:
    return bytes((len(name), len(value))) + name + value  # only for our own short values


class Receiver:
    """What arrives on one connection.

    The caller feeds octets, sends `replies` and clears it, and looks at `complete`, `aborted` and `failure`;
    when it has answered the request it calls `finished`.
    """

    def __init__(self, body: Callable[[], Callable[[bytes], object]]) -> None:
        """`body` is called when a request begins and returns what takes its STDIN, piece by piece."""
        self._open_body = body
        self.replies: list[bytes] = []
        self.hang_up = (
            False  # close once the replies are sent: what we refused was to be the connection's last
        )
        self._buffer = b""
        self._kind = 0
        self._id = 0  # request id of the current record
        self._left = 0  # its content still to come
        self._padding = 0
        self._content: list[bytes] = []  # of a record that is needed whole
        self.finished()

    def finished(self) -> None:
        """The current request is over (or none has begun): be ready for the next."""
        self.request_id = 0  # 0: no request is active
        self.keep = False
        self.parameters: dict[bytes, bytes] = {}
        self.aborted = False
        self.failure: str | None = None  # what is wrong with the request; it is answered 400 or 431
        self.oversized = False
        self._params: list[bytes] = []
        self._params_size = 0
        self._params_ended = False
        self._stdin_ended = False
        self._stdin: Callable[[bytes], object] = _discard

    @property
    def complete(self) -> bool:
        """PARAMS and STDIN have ended, padding included: a front must be able to send its last octet."""
        return self._stdin_ended and not self._padding

    @property
    def idle(self) -> bool:
        """Nothing of a request or of a record has come."""
        return not (self.request_id or self._buffer or self._left or self._padding)

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises ProtocolError for what is not FastCGI."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position, size = 0, len(data)
        while position < size:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                self._take(data[position : position + step])
                position += step
            elif self._padding:
                step = min(self._padding, size - position)
                self._padding -= step
                position += step
            elif size - position < 8:
                self._buffer = data[position:]
                return
            else:
                version, self._kind, self._id, self._left, self._padding = _unpack_header(data, position)
                if version != VERSION:
                    raise ProtocolError(
                        f"not FastCGI version 1 but {data[position : position + 16]!r}: "
                        "does the web server speak FastCGI to this address?"
                    )
                position += 8
                if not self._left:
                    self._take(b"")

    def _take(self, piece: bytes) -> None:
        """A piece of the current record's content; the last one if nothing is left."""
        if self._id and self._id == self.request_id and self._kind == STDIN:
            self._take_stdin(piece)
            return
        if self._id == 0 or self._kind in (BEGIN_REQUEST, PARAMS):
            self._content.append(piece)
        if self._left:
            return
        content = b"".join(self._content)
        self._content = []
        if self._id == 0:
            self._management(content)
        elif self._kind == BEGIN_REQUEST:
            self._begin(content)
        elif self._id == self.request_id:
            if self._kind == PARAMS:
                self._take_params(content)
            elif self._kind == ABORT_REQUEST:
                self.aborted = True

    def _management(self, content: bytes) -> None:
        if self._kind == GET_VALUES:
            known = [name for name, _ in pairs(content) if name in _VALUES]
            answer = b"".join(_pair(name, _VALUES[name]) for name in dict.fromkeys(known))
            self.replies.append(record(GET_VALUES_RESULT, 0, answer))
        else:
            self.replies.append(record(UNKNOWN_TYPE, 0, bytes((self._kind,)) + bytes(7)))

    def _begin(self, content: bytes) -> None:
        if len(content) < 8:
            raise ProtocolError(f"BEGIN_REQUEST has {len(content)} octets, 8 are needed")
        if self.request_id:
            if self._id == self.request_id:
                raise ProtocolError(f"request {self._id} begins again before its end")
            self.replies.append(end_request(self._id, CANNOT_MULTIPLEX))
            return
        role, flags = struct.unpack_from(">HB", content)
        if role != RESPONDER:
            self.replies.append(end_request(self._id, UNKNOWN_ROLE))
            self.hang_up = not flags & KEEP_CONNECTION
            return
        self.request_id = self._id
        self.keep = bool(flags & KEEP_CONNECTION)
        self._stdin = self._open_body()

    def _take_params(self, content: bytes) -> None:
        if self._params_ended:
            raise ProtocolError("PARAMS come after the end of PARAMS")
        if not content:
            self._params_ended = True
            self._end_params()
            return
        self._params_size += len(content)
        if self._params_size > PARAMS_LIMIT:
            self.oversized = True
            self.failure = f"the request's head is larger than {PARAMS_LIMIT} octets"
            self._params = []
        else:
            self._params.append(content)

    def _end_params(self) -> None:
        if self.failure is None:
            try:
                self.parameters = dict(pairs(b"".join(self._params)))
            except ProtocolError as error:
                self.failure = str(error)
        self._params = []
        if self.failure is not None:
            self._stdin = _discard

    def _take_stdin(self, piece: bytes) -> None:
        if not self._params_ended or self._stdin_ended:
            raise ProtocolError("STDIN comes before the end of PARAMS or after its own")
        if piece:
            self._stdin(piece)
        else:
            self._stdin_ended = True


def _discard(piece: bytes) -> None:
    """Where the body of a request goes that is refused."""
