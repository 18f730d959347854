"""SCGI requests and answers."""

from __future__ import annotations

import pytest

from appliance.gateway.errors import RequestRefused
from appliance.gateway.records import pair
from appliance.gateway.scgi import Decoder, request_head


def test_request_head() -> None:
    params = pair(b"CONTENT_LENGTH", b"27") + pair(b"REQUEST_URI", b"/deepthought") + pair(b"EMPTY", b"")
    headers = b"CONTENT_LENGTH\x0027\0REQUEST_URI\0/deepthought\0EMPTY\0\0SCGI\x001\0"
    assert request_head(params) == b"%d:" % len(headers) + headers + b","


def test_a_nul_cannot_be_sent() -> None:
    with pytest.raises(RequestRefused, match="QUERY_STRING"):
        request_head(pair(b"QUERY_STRING", b"a\0b"))


def test_the_answer_ends_with_the_connection() -> None:
    decoder = Decoder()
    decoder.feed(b"A: b\r\n")
    decoder.feed(b"\r\nbody")
    assert decoder.stdout == [b"A: b\r\n", b"\r\nbody"] and not decoder.ended
    decoder.eof()
    assert decoder.ended
