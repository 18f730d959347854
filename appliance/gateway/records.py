"""FastCGI 1.0 records as the front needs them: requests out, answers in, no sockets.

One request at a time runs on a connection, with id 1 (FastCGI 1.0 section 3; multiplexing has no takers among
real applications). `Decoder` passes on what has come of a large record instead of collecting it, so that
memory stays bounded by what was read and a drip of single octets costs linear time. The hot path is one
comparison per record: version, type and request id are one number.
"""

from __future__ import annotations

import struct

from appliance.gateway.errors import ProtocolError

VERSION = 1
REQUEST_ID = 1

BEGIN_REQUEST = 1
ABORT_REQUEST = 2
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
STDERR = 7
DATA = 8
GET_VALUES = 9
GET_VALUES_RESULT = 10
UNKNOWN_TYPE = 11

RESPONDER = 1
AUTHORIZER = 2

KEEP_CONNECTION = 1

REQUEST_COMPLETE = 0
CANNOT_MULTIPLEX = 1
OVERLOADED = 2
UNKNOWN_ROLE = 3

LARGEST_CONTENT = 65535  # the length field has 16 bits (section 3.3)
_STEP = 65528  # content of one of several records: a multiple of 8, so that no padding is due
_NOTES = 16  # remarks kept per answer; an application that sends nonsense must not fill our memory

NAMES = {
    BEGIN_REQUEST: "BEGIN_REQUEST",
    ABORT_REQUEST: "ABORT_REQUEST",
    END_REQUEST: "END_REQUEST",
    PARAMS: "PARAMS",
    STDIN: "STDIN",
    STDOUT: "STDOUT",
    STDERR: "STDERR",
    DATA: "DATA",
    GET_VALUES: "GET_VALUES",
    GET_VALUES_RESULT: "GET_VALUES_RESULT",
    UNKNOWN_TYPE: "UNKNOWN_TYPE",
}

_pack_header = struct.Struct(">BBHHBx").pack
_pack_long = struct.Struct(">I").pack
_unpack_header = struct.Struct(
    ">IHB"
).unpack_from  # (version, type, id) as one number, content length, padding length
_unpack_end = struct.Struct(">IB").unpack_from

_TAG_STDOUT = VERSION << 24 | STDOUT << 16 | REQUEST_ID
_TAG_STDERR = VERSION << 24 | STDERR << 16 | REQUEST_ID
_TAG_END = VERSION << 24 | END_REQUEST << 16 | REQUEST_ID
_TAG_VALUES = VERSION << 24 | GET_VALUES_RESULT << 16


def record(kind: int, content: bytes = b"", request_id: int = REQUEST_ID) -> bytes:
    """One record without padding; `content` has at most 65535 octets."""
    return _pack_header(VERSION, kind, request_id, len(content), 0) + content


def _begin(role: int, flags: int) -> bytes:
    return record(BEGIN_REQUEST, struct.pack(">HB5x", role, flags))


_BEGIN = {(role, keep): _begin(role, int(keep)) for role in (RESPONDER, AUTHORIZER) for keep in (False, True)}
_PARAMS_END = record(PARAMS)

STDIN_END = record(STDIN)
"""The empty STDIN record: the request body is complete."""

ABORT = record(ABORT_REQUEST)
"""Asks the application to stop working on the request; most do not listen."""


def request_head(params: bytes, keep: bool, role: int = RESPONDER) -> bytes:
    """BEGIN_REQUEST, the encoded parameters and their end. `keep`: leave the connection open afterwards.

    lighttpd refuses parameters beyond one record; the specification lets a stream have several (section 3.3).
    PHP reads each record by itself, so they end where a pair ends, unless one pair is larger than a record.
    """
    size = len(params)
    if 0 < size <= LARGEST_CONTENT:
        return b"".join(
            (_BEGIN[role, keep], _pack_header(VERSION, PARAMS, REQUEST_ID, size, 0), params, _PARAMS_END)
        )
    parts = [_BEGIN[role, keep]]
    content = b""
    for name, value in decode_pairs(params):
        encoded = pair(name, value)
        if content and len(content) + len(encoded) > LARGEST_CONTENT:
            parts.append(record(PARAMS, content))
            content = b""
        content += encoded
        while len(content) > LARGEST_CONTENT:
            parts.append(record(PARAMS, content[:_STEP]))
            content = content[_STEP:]
    if content:
        parts.append(record(PARAMS, content))
    parts.append(_PARAMS_END)
    return b"".join(parts)


def stdin_records(data: bytes | memoryview) -> list[bytes | memoryview]:
    """A piece of the request body: record headers and uncopied parts of `data`, alternating.

    Nothing comes of nothing: an empty record would end the body, that is `STDIN_END`.
    """
    size = len(data)
    if size <= LARGEST_CONTENT:
        return [_pack_header(VERSION, STDIN, REQUEST_ID, size, 0), data] if size else []
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    for start in range(0, size, _STEP):
        part = view[start : start + _STEP]
        parts += (_pack_header(VERSION, STDIN, REQUEST_ID, len(part), 0), part)
    return parts


def _length(size: int) -> bytes:
    return bytes((size,)) if size < 128 else _pack_long(size | 0x80000000)


def pair(name: bytes, value: bytes) -> bytes:
    """A name-value pair (section 3.4)."""
    return b"".join((_length(len(name)), _length(len(value)), name, value))


class PairPrefix(dict[int, bytes]):
    """What precedes a value in the pair of one name: `prefix[len(value)] + value` is the pair.

    Both lengths come before the name, so there is one prefix per length of value; those of short values are
    kept.
    """

    __slots__ = ("name",)

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self.name = name

    def __missing__(self, size: int) -> bytes:
        prefix = _length(len(self.name)) + _length(size) + self.name
        if size < 128:
            self[size] = prefix
        return prefix


def decode_pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    """The name-value pairs of a complete stream. Raises ProtocolError if it ends inside a pair."""
    pairs = []
    position, size = 0, len(data)
    while position < size:
        lengths = []
        for _ in range(2):
            width = 4 if position < size and data[position] >= 128 else 1
            if position + width > size:
                raise ProtocolError("a name-value pair of FastCGI ends inside its lengths")
            lengths.append(int.from_bytes(data[position : position + width], "big") & 0x7FFFFFFF)
            position += width
        middle = position + lengths[0]
        end = middle + lengths[1]
        if end > size:
            raise ProtocolError(f"a name-value pair of FastCGI is {end - size} octets short")
        pairs.append((data[position:middle], data[middle:end]))
        position = end
    return pairs


def get_values(*names: bytes) -> bytes:
    """The management record that asks an application for its limits, e.g. FCGI_MAX_CONNS (section 4.1)."""
    return record(GET_VALUES, b"".join(pair(name, b"") for name in names), request_id=0)


class Decoder:
    """The application's side of one connection: octets in, output and the end of the request out.

    `stdout` and `stderr` collect pieces in order; the caller takes them and clears the lists. After a
    ProtocolError the connection is of no further use.
    """

    __slots__ = (
        "_content",
        "_header",
        "_inside",
        "_left",
        "_padding",
        "_tag",
        "app_status",
        "ended",
        "notes",
        "protocol_status",
        "stderr",
        "stdout",
        "values",
    )

    def __init__(self) -> None:
        self._header = b""  # the beginning of a record's header
        self._inside = False  # a record has begun and is not complete
        self._tag = 0
        self._left = 0  # content of that record still to come
        self._padding = 0
        self._content = b""  # content so far, of the kinds that are needed whole
        self.values: dict[bytes, bytes] = {}  # answers to `get_values`
        self.reset()

    def reset(self) -> None:
        """Be ready for the next request on a kept connection."""
        self.stdout: list[bytes] = []
        self.stderr: list[bytes] = []
        self.notes: list[str] = []  # for the log: what was ignored
        self.ended = False
        self.app_status = 0
        self.protocol_status = REQUEST_COMPLETE

    @property
    def idle(self) -> bool:
        """Between two records: nothing of a next one has come."""
        return not (self._inside or self._header)

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises ProtocolError for what an application must not send."""
        if self.ended:
            if data:
                raise ProtocolError(f"the application sent {len(data)} octets after the end of its answer")
            return
        position = 0
        if self._inside:
            position = self._advance(data, 0)
        elif self._header:
            data = self._header + data
            self._header = b""
        size = len(data)
        stdout = self.stdout
        while position < size:
            if self.ended:
                raise ProtocolError(
                    f"the application sent {size - position} octets after the end of its answer"
                )
            start = position + 8
            if start > size:
                self._header = data[position:]
                return
            tag, length, padding = _unpack_header(data, position)
            end = start + length
            position = end + padding
            if position > size:
                self._check(tag, length, data)
                self._inside = True
                self._tag, self._left, self._padding = tag, length, padding
                position = self._advance(data, start)
            elif tag == _TAG_STDOUT:
                if length:
                    stdout.append(data[start:end])
            elif tag == _TAG_END and length >= 8:
                self.app_status, self.protocol_status = _unpack_end(data, start)
                self.ended = True
            else:
                self._check(tag, length, data)
                self._complete(tag, data[start:end])

    def _advance(self, data: bytes, position: int) -> int:
        """Consume more of a record that came in pieces; returns where the next one begins."""
        left = self._left
        if left:
            part = data[position : position + left]
            position += len(part)
            self._left = left = left - len(part)
            if part:
                if self._tag == _TAG_STDOUT:
                    self.stdout.append(part)
                elif self._tag == _TAG_STDERR:
                    self.stderr.append(part)
                elif self._tag in (_TAG_END, _TAG_VALUES):
                    self._content += part
            if left:
                return position
        skipped = min(self._padding, len(data) - position)
        self._padding -= skipped
        if not self._padding:
            self._inside = False
            content, self._content = self._content, b""
            if self._tag not in (_TAG_STDOUT, _TAG_STDERR):
                self._complete(self._tag, content)
        return position + skipped

    def _check(self, tag: int, length: int, data: bytes) -> None:
        """Raise ProtocolError if a record that begins so is not for us."""
        version, kind, request_id = tag >> 24, tag >> 16 & 255, tag & 65535
        if version != VERSION:
            raise ProtocolError(
                f"the application sent version {version} in place of FastCGI version 1 "
                f"(octets {data[:16]!r}): does the program at this address speak FastCGI?"
            )
        if kind > UNKNOWN_TYPE or kind == 0:
            return
        if kind in (GET_VALUES_RESULT, UNKNOWN_TYPE):
            if request_id:
                raise ProtocolError(f"the application sent {NAMES[kind]} with request id {request_id}, not 0")
        elif kind not in (STDOUT, STDERR, END_REQUEST):
            raise ProtocolError(f"the application sent {NAMES[kind]}, which only a web server may send")
        elif request_id != REQUEST_ID:
            raise ProtocolError(
                f"the application sent {NAMES[kind]} for request {request_id}, our request is {REQUEST_ID}"
            )
        elif kind == END_REQUEST and length < 8:
            raise ProtocolError(f"the application sent END_REQUEST with {length} octets, 8 are needed")

    def _complete(self, tag: int, content: bytes) -> None:
        kind = tag >> 16 & 255
        if tag == _TAG_STDERR:
            if content:
                self.stderr.append(content)
        elif tag == _TAG_END:
            self.app_status, self.protocol_status = _unpack_end(content, 0)
            self.ended = True
        elif tag == _TAG_VALUES:
            self.values.update(decode_pairs(content))
        elif len(self.notes) < _NOTES:
            if kind == UNKNOWN_TYPE:
                self.notes.append("the application does not know a record type that we sent")
            else:
                self.notes.append(f"the application sent a record of the unknown type {kind}, ignored")

    def eof(self) -> None:
        """The connection has ended. Raises ProtocolError unless the answer is complete."""
        if not self.ended:
            raise ProtocolError("the application closed the connection before the end of its answer")
