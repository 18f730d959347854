"""The chunked coding undone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.chunks import Decoder
from appliance.gateway.errors import ProtocolError


@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(1, 20), min_size=1), st.booleans())
def test_any_fragmentation(pieces: list[bytes], sizes: list[int], trailers: bool) -> None:
    data = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"
    data += (b"A: b\r\nC: d\r\n" if trailers else b"") + b"\r\n"
    decoder = Decoder()
    body = []
    position = turn = 0
    while position < len(data):
        assert not decoder.ended
        size = sizes[turn % len(sizes)]
        body += decoder.feed(data[position : position + size])
        position += size
        turn += 1
    assert decoder.ended and b"".join(body) == b"".join(pieces)


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b"5 5\r\n",
        b"1" * 16 + b"\r\n",
        b"3\r\nabcd\r\n",
        b"0\r\n\r\nmore",
        b"5;" + b"x" * 8200,
        b"0\r\n" + b"A: b\r\n" * 101,
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(data)
