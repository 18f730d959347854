"""Byte ranges, RFC 9110 section 14: what a Range field selects from a file of known size.

Bounded against floods (RFC 9110 section 17.15): neighbouring and overlapping ranges become one, as in
lighttpd, and whoever still wants more than `LIMIT` separate pieces gets the whole file.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

LIMIT = 10  # pieces in one answer; lighttpd's number
SPECIFIERS = 200  # more in one field are not even looked at

# The head of a part costs about as much as this many octets of the file between two pieces.
GAP = 80

_SPECIFIER = re.compile(r"(?P<first>[0-9]*)[ \t]*-[ \t]*(?P<last>[0-9]*)")

# More digits than any file's size has say nothing more: Python need not read thousands of them.
_DIGITS = 19

Piece = tuple[int, int]  # (offset, length)


def select(field: str, size: int) -> list[Piece] | None:
    """The pieces of a file of `size` octets that a Range field asks for, in the order asked.

    None: the field is to be ignored (another unit, too many pieces). An empty list: nothing in it can be
    satisfied, or nothing in it is a range (416). As in lighttpd an unreadable specifier beside a good one is
    skipped.
    """
    unit, separator, rest = field.partition("=")
    if not separator or unit.strip().lower() != "bytes" or rest.count(",") >= SPECIFIERS:
        return None
    spans: list[list[int]] = []
    for specifier in rest.split(","):
        span = _span(specifier, size)
        if span is not None:
            _add(spans, span)
            if len(spans) > LIMIT:
                return None
    return [(first, last - first + 1) for first, last in spans]


def _span(specifier: str, size: int) -> list[int] | None:
    """First and last octet, both included, or None if the specifier selects nothing."""
    found = _SPECIFIER.fullmatch(specifier.strip(" \t"))
    if found is None:
        return None
    first, last = found["first"], found["last"]
    if not first:
        length = min(_number(last), size) if last else 0
        return [size - length, size - 1] if length else None
    start = _number(first)
    end = _number(last) if last else size - 1
    if start >= size or end < start:
        return None
    return [start, min(end, size - 1)]


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return 10**_DIGITS if len(significant) > _DIGITS else int(significant or "0")


def _add(spans: list[list[int]], span: list[int]) -> None:
    """Put a span behind the others, or let it grow the first one it touches (which may then touch more)."""
    place = len(spans)
    for index, other in enumerate(spans):
        if span[0] <= other[1] + GAP and other[0] <= span[1] + GAP:
            place = index
            break
    if place == len(spans):
        spans.append(span)
        return
    grown = spans.pop(place)
    grown = [min(grown[0], span[0]), max(grown[1], span[1])]
    for index in range(len(spans) - 1, -1, -1):
        other = spans[index]
        if grown[0] <= other[1] + GAP and other[0] <= grown[1] + GAP:
            grown = [min(grown[0], other[0]), max(grown[1], other[1])]
            del spans[index]
            place = min(place, index)
    spans.insert(place, grown)


def content_range(piece: Piece | None, size: int) -> bytes:
    """The value of Content-Range; without a piece that of a 416 answer (RFC 9110 section 14.4)."""
    if piece is None:
        return b"bytes */%d" % size
    return b"bytes %d-%d/%d" % (piece[0], piece[0] + piece[1] - 1, size)


def multipart(pieces: Sequence[Piece], size: int, content_type: bytes) -> tuple[bytes, list[bytes | Piece]]:
    """The Content-Type and the body of a multipart/byteranges answer (RFC 9110 section 14.6).

    The boundary is random: nobody can have put it into a file.
    """
    boundary = secrets.token_hex(12).encode("ascii")
    described = b"Content-Type: %b\r\n" % content_type if content_type else b""
    parts: list[bytes | Piece] = []
    opening = b"--"
    for piece in pieces:
        parts.append(
            b"%b%b\r\n%bContent-Range: %b\r\n\r\n"
            % (opening, boundary, described, content_range(piece, size))
        )
        parts.append(piece)
        opening = b"\r\n--"
    parts.append(b"\r\n--%b--\r\n" % boundary)
    return b"multipart/byteranges; boundary=" + boundary, parts
