"""Framing of request bodies: complete, in any pieces, and refused where two readers could differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http.body import MAX_CHUNK_LINE, MAX_TRAILER, BadBody, ChunkedBody, LengthBody


def read(body: ChunkedBody | LengthBody, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """The decoded body and what was left over."""
    content = b""
    rest = b""
    for piece in pieces:
        if body.complete:
            rest += piece
            continue
        parts, rest = body.feed(piece)
        content += b"".join(parts)
    return content, rest


def chunked(chunks: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.lists(st.integers(1, 9), max_size=60),
    st.binary(max_size=9),
)
def test_chunks_arrive_whole_however_they_are_cut(
    chunks: list[bytes], sizes: list[int], after: bytes
) -> None:
    body = ChunkedBody()
    content, rest = read(body, cut(chunked(chunks) + after, sizes))
    assert body.complete
    assert content == b"".join(chunks)
    assert rest == after


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=20), st.binary(max_size=9))
def test_a_length_is_taken_exactly(content: bytes, sizes: list[int], after: bytes) -> None:
    body = LengthBody(len(content))
    taken, rest = read(body, cut(content + after, sizes))
    assert body.complete
    assert (taken, rest) == (content, after)


@pytest.mark.parametrize(
    "data",
    [
        b"5\nhello\r\n0\r\n\r\n",  # bare LF
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"-1\r\n",
        b"\r\n",
        b"g\r\n",
        b"1234567890abcdef\r\n",  # 16 digits: larger than any 63-bit number needs
        b"5\r\nhelloX\r\n",
        b"5\r\nhello\nX",
        b"1" * (MAX_CHUNK_LINE + 1),
        b"5;" + b"x" * MAX_CHUNK_LINE + b"\r\n",
        b"0\r\n"
        + b"A: "
        + b"x" * 3000
        + b"\r\nB: "
        + b"x" * 3000
        + b"\r\nC: "
        + b"x" * (MAX_TRAILER - 6000)
        + b"\r\n",
    ],
)
def test_ambiguous_framing_is_refused(data: bytes) -> None:
    with pytest.raises(BadBody):
        ChunkedBody().feed(data)


def test_extensions_and_trailers_are_dropped() -> None:
    body = ChunkedBody()
    pieces, rest = body.feed(b"5;name=value\r\nhello\r\n0\r\nX-Evil: 1\r\nHost: b\r\n\r\nGET")
    assert (b"".join(pieces), rest, body.complete) == (b"hello", b"GET", True)
