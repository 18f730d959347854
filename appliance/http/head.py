"""The head of a request: found by us, read by httptools, checked by us (RFC 9112 sections 2, 3 and 6).

httptools (llhttp) does not pause: one read could yield thousands of requests, and it accepts a missing Host
and a Transfer-Encoding on HTTP/1.0. So it is fed exactly one complete head at a time, and whatever two
readers could understand in two ways is refused here, with the status that says why.

Request lines are the same for everybody who asks for the same thing, and what follows them is the same octets
again and again (a browser's style sheets and images, a feed reader, a monitor): both are remembered once they
were read, each keyed by its octets.
"""

from __future__ import annotations

import re

import httptools

from appliance.http.conditional import FIELDS as CONDITIONAL
from appliance.http.request import Endpoint, Request, by_name
from appliance.http.target import BadTarget, Target, parse_target

MAX_FIELDS = 100
REMEMBERED_LINES = 2048
REMEMBERED = 512  # blocks of field lines
LONGEST_REMEMBERED = 2048  # octets of either
# RFC 9110 section 9.3 and what WebDAV, CalDAV and their kin register; CONNECT is for proxies.
METHODS = {
    name.encode(): name
    for name in (
        *("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "QUERY"),
        *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT", "ACL"),
        *("BIND", "UNBIND", "REBIND", "MKACTIVITY", "CHECKOUT", "MERGE", "MKCALENDAR", "LINK", "UNLINK"),
    )
}
FIELD_SIZE = "(server.max-request-field-size)"
MAX_LEADING_BLANK = 4  # octets of CRLF before a request line (RFC 9112 section 2.2)

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::([0-9]{0,5}))?")
_REQUEST_LINE = re.compile(rb"([!-~]+) ([!-~]+) HTTP/(?:1\.([01])|[0-9]\.[0-9])\r\n")
_CONDITIONAL = frozenset(name.encode("ascii") for name in CONDITIONAL)


class BadRequest(Exception):
    """A request that cannot be served. After it nothing on this connection can be trusted: it is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def find_head(buffer: bytes, limit: int) -> int:
    """Length of the complete head at the start of `buffer`; 0 or less if more is needed.

    -n means that the first n octets are empty lines, which robust servers skip (RFC 9112 section 2.2).
    Raises BadRequest (400, 414, 431).
    """
    end = buffer.find(b"\r\n\r\n", 0, limit)
    if end > 0 and buffer[0] > 32:
        return end + 4
    return _head_to_come(buffer, limit)


def _head_to_come(buffer: bytes, limit: int) -> int:
    if buffer[0] <= 32 and buffer[0] not in b"\r\n":
        raise BadRequest(400, "the request line begins with a blank or a control character")
    blank = 0
    while buffer.startswith(b"\r\n", blank):
        blank += 2
    if blank > MAX_LEADING_BLANK:
        raise BadRequest(400, "empty lines instead of a request")
    stripped = buffer[blank:]
    if stripped == b"\r":
        return 0
    if stripped and stripped[0] in b"\r\n":
        raise BadRequest(400, "a line before the request line ends without CRLF")
    if blank and stripped:
        length = find_head(stripped, limit)
        return blank + length if length > 0 else -blank
    if buffer.find(b"\n\n", 0, limit) >= 0:
        raise BadRequest(400, "a line of the head ends without CR")
    if len(buffer) >= limit:
        if b"\n" not in buffer[:limit]:
            raise BadRequest(
                414, f"the request line is longer than {limit} octets (server.max-request-field-size)"
            )
        raise BadRequest(431, f"the head is longer than {limit} octets {FIELD_SIZE}")
    return 0


class _Line:
    """A request line, read."""

    __slots__ = ("authority", "method", "modern", "name", "path", "query", "target", "version")

    def __init__(self, method: str, modern: bool, octets: bytes, target: Target) -> None:
        self.method = method
        self.modern = modern  # HTTP/1.1
        self.version = "HTTP/1.1" if modern else "HTTP/1.0"
        self.target = octets
        self.path = target.path
        self.query = target.query
        # Of an absolute-form target, which overrides Host (RFC 9112 section 3.2.2).
        self.authority: str | None = None
        self.name = ""
        if target.authority is not None:
            self.authority, self.name = _host(target.authority)


_lines: dict[bytes, _Line] = {}


def _read_line(octets: bytes) -> _Line:
    """Read a request line, its end included. Raises BadRequest."""
    found = _REQUEST_LINE.fullmatch(octets)
    if found is None:
        raise BadRequest(400, "the request line is not METHOD TARGET HTTP/1.1")
    method, target, minor = found.groups()
    if not minor:
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if method not in METHODS:
        raise BadRequest(405 if method == b"CONNECT" else 501, "the method is not known here")
    try:
        line = _Line(METHODS[method], minor == b"1", target, parse_target(target))
    except BadTarget as error:
        raise BadRequest(error.status, error.reason) from None
    if len(octets) <= LONGEST_REMEMBERED:
        if len(_lines) >= REMEMBERED_LINES:
            _lines.clear()
        _lines[octets] = line
    return line


class _Block:
    """The field lines of a head, read."""

    __slots__ = (
        "authority",
        "by_name",
        "chunked",
        "close",
        "conditional",
        "expects",
        "length",
        "name",
        "pairs",
        "persist",
    )

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self.by_name: dict[str, str] | None = None
        self.authority: str | None = None  # Host, as sent
        self.name = ""  # its host alone, lower case
        self.close = False  # Connection: close
        self.persist = False  # Connection: keep-alive
        self.length: int | None = None  # Content-Length
        self.chunked = False
        self.expects = False
        self.conditional = False  # a precondition or a range

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools."""
        # llhttp leaves blanks at the end, which do not belong to the value (RFC 9112 section 5.1).
        self.pairs.append((name, value.rstrip(b" \t")))


_blocks: dict[bytes, _Block] = {}


def parse_head(head: bytes, endpoint: Endpoint) -> Request:
    """The request; its body is chunked if it has no content_length. Raises BadRequest."""
    end = head.find(b"\r\n") + 2
    first = head[:end]
    line = _lines.get(first)
    if line is None:
        if end == 2:
            return parse_head(head.lstrip(b"\r\n"), endpoint)
        line = _read_line(first)
    octets = head[end:]
    block = _blocks.get(octets)
    if block is None:
        block = _read(octets)
    elif block.by_name is None:
        block.by_name = by_name(block.pairs)
    modern = line.modern
    if block.chunked and not modern:
        raise BadRequest(400, "Transfer-Encoding in an HTTP/1.0 request")
    if block.authority is None and modern:
        raise BadRequest(400, "an HTTP/1.1 request without Host")
    if line.authority is None:
        authority, name = block.authority or "", block.name
    else:
        authority, name = line.authority, line.name
    return Request(
        line.method,
        line.target,
        line.version,
        block.pairs,
        line.path,
        line.query,
        authority,
        name,
        endpoint,
        None if block.chunked else block.length or 0,
        not block.close and (modern or block.persist),
        block.expects and modern,
        block.conditional,
        None,
        block.by_name,
    )


def _read(octets: bytes) -> _Block:
    """Read a block of field lines, its empty line included. Raises BadRequest."""
    block = _Block()
    try:
        # Every request line is the same to the reader: what it makes of the fields depends on them alone.
        httptools.HttpRequestParser(block).feed_data(b"POST / HTTP/1.1\r\n" + octets)
    except httptools.HttpParserUpgrade:
        pass  # an Upgrade that nobody takes up is no error: the request is answered without it
    except (httptools.HttpParserError, httptools.HttpParserCallbackError) as error:
        raise BadRequest(400, f"the head is malformed: {error}") from None
    if len(block.pairs) > MAX_FIELDS:
        raise BadRequest(431, f"more than {MAX_FIELDS} header fields")
    for name, value in block.pairs:
        # Only names of these lengths matter here; most fields are passed over by one comparison.
        if len(name) in _LENGTHS:
            _note(block, name.lower(), value)
    if block.chunked and block.length is not None:
        raise BadRequest(400, "both Content-Length and Transfer-Encoding")
    if len(octets) <= LONGEST_REMEMBERED and not block.length:
        if len(_blocks) >= REMEMBERED:
            _blocks.clear()
        _blocks[octets] = block
    return block


def _note(block: _Block, name: bytes, value: bytes) -> None:
    """What one field means for the message itself."""
    if name == b"host":
        if block.authority is not None:
            raise BadRequest(400, "two Host fields")
        block.authority, block.name = _host(value)
    elif name == b"connection":
        tokens = [token.strip() for token in value.lower().split(b",")]
        block.close = block.close or b"close" in tokens
        block.persist = block.persist or b"keep-alive" in tokens
    elif name == b"content-length":
        if block.length is not None or not value.isdigit() or len(value) > 18:
            raise BadRequest(400, "Content-Length is not one number")
        block.length = int(value)
    elif name == b"transfer-encoding":
        if block.chunked or value.lower() != b"chunked":
            raise BadRequest(501, "a transfer coding other than chunked")
        block.chunked = True
    elif name == b"expect":
        if value.lower() != b"100-continue":
            raise BadRequest(417, "an expectation other than 100-continue")
        block.expects = True
    elif name in _CONDITIONAL:
        block.conditional = True


_LENGTHS = frozenset(
    len(name)
    for name in ("host", "connection", "content-length", "transfer-encoding", "expect", *CONDITIONAL)
)


def _host(value: bytes) -> tuple[str, str]:
    """Authority as sent and lower-case host of a Host field."""
    match = _HOST.fullmatch(value)
    if match is None or (match[2] and int(match[2]) > 65535):
        raise BadRequest(400, "Host is not a host name with an optional port")
    return value.decode("ascii"), match[1].decode("ascii").lower()
