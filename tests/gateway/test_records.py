"""The FastCGI codec: what goes out, and answers in any fragmentation."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway import records
from appliance.gateway.errors import ProtocolError
from appliance.gateway.records import Decoder, PairPrefix, decode_pairs, pair, record

END = record(records.END_REQUEST, struct.pack(">IB3x", 7, records.REQUEST_COMPLETE))


def parsed(data: bytes) -> list[tuple[int, int, bytes]]:
    """Type, request id and content of each record."""
    found = []
    while data:
        version, kind, request_id, length, padding = struct.unpack(">BBHHBx", data[:8])
        assert version == 1
        found.append((kind, request_id, data[8 : 8 + length]))
        data = data[8 + length + padding :]
    return found


def padded(kind: int, content: bytes, padding: int) -> bytes:
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), padding) + content + bytes(padding)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("role", [records.RESPONDER, records.AUTHORIZER])
def test_request_head(keep: bool, role: int) -> None:
    begin = struct.pack(">HB5x", role, keep)
    assert parsed(records.request_head(b"params", keep, role)) == [
        (records.BEGIN_REQUEST, 1, begin),
        (records.PARAMS, 1, b"params"),
        (records.PARAMS, 1, b""),
    ]


@pytest.mark.parametrize("sizes", [(), (1,), (65_529,), (65_500, 30), (30_000,) * 9, (9, 200_000, 9)])
def test_parameters_of_any_size(sizes: tuple[int, ...]) -> None:
    params = b"".join(pair(b"n", b"v" * size) for size in sizes)
    found = parsed(records.request_head(params, False))[1:]
    assert {kind for kind, _, _ in found} == {records.PARAMS}
    assert found[-1][2] == b"" and all(content for _, _, content in found[:-1])
    assert b"".join(content for _, _, content in found) == params
    if max(sizes, default=0) < 65_530:
        for _, _, content in found:
            decode_pairs(content)  # no pair is divided


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200000])
def test_body(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for given_data in (data, memoryview(data)):
        found = parsed(b"".join(records.stdin_records(given_data)))
        assert all(kind == records.STDIN and content for kind, _, content in found)
        assert b"".join(content for _, _, content in found) == data


def test_constants() -> None:
    assert parsed(records.STDIN_END) == [(records.STDIN, 1, b"")]
    assert parsed(records.ABORT) == [(records.ABORT_REQUEST, 1, b"")]
    assert parsed(records.get_values(b"FCGI_MAX_CONNS")) == [
        (records.GET_VALUES, 0, b"\x0e\x00FCGI_MAX_CONNS")
    ]


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300))))
def test_pairs_survive(pairs: list[tuple[bytes, bytes]]) -> None:
    encoded = b"".join(pair(name, value) for name, value in pairs)
    assert decode_pairs(encoded) == pairs
    assert b"".join(PairPrefix(name)[len(value)] + value for name, value in pairs) == encoded


@pytest.mark.parametrize("cut", range(1, 12))
def test_pairs_cut_off(cut: int) -> None:
    encoded = pair(b"n" * 130, b"v")[:-cut] if cut < 3 else pair(b"name", b"v" * 5)[:-cut]
    if encoded:
        with pytest.raises(ProtocolError):
            decode_pairs(encoded)


output = st.tuples(
    st.sampled_from((records.STDOUT, records.STDERR, 99)), st.binary(max_size=40), st.integers(0, 9)
)


@given(st.lists(output, max_size=8), st.integers(0, 9), st.lists(st.integers(1, 30), min_size=1))
def test_an_answer_in_any_fragmentation(
    pieces: list[tuple[int, bytes, int]], padding: int, sizes: list[int]
) -> None:
    values = struct.pack(">BBHHBx", 1, records.GET_VALUES_RESULT, 0, 4, 0) + pair(b"a", b"b")
    data = values + b"".join(padded(*piece) for piece in pieces)
    data += padded(records.END_REQUEST, struct.pack(">IB3x", 7, 2), padding)
    decoder = Decoder()
    for _ in range(2):
        position = turn = 0
        while position < len(data):
            assert not decoder.ended
            size = sizes[turn % len(sizes)]
            decoder.feed(data[position : position + size])
            position += size
            turn += 1
        assert decoder.ended and decoder.idle
        assert (decoder.app_status, decoder.protocol_status) == (7, records.OVERLOADED)
        for kind, collected in ((records.STDOUT, decoder.stdout), (records.STDERR, decoder.stderr)):
            assert b"".join(collected) == b"".join(text for one, text, _ in pieces if one == kind)
        assert all(collected for collected in (*decoder.stdout, *decoder.stderr))
        assert len(decoder.notes) == sum(kind == 99 for kind, _, _ in pieces)
        assert decoder.values == {b"a": b"b"}
        decoder.eof()
        decoder.reset()


def test_output_is_passed_on_before_its_record_is_complete() -> None:
    decoder = Decoder()
    decoder.feed(padded(records.STDOUT, b"x" * 1000, 0)[:500])
    assert decoder.stdout == [b"x" * 492] and not decoder.idle


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "speak FastCGI"),
        (record(records.STDOUT, b"x", request_id=2), "for request 2"),
        (record(records.STDOUT, b"x", request_id=0), "for request 0"),
        (record(records.END_REQUEST, bytes(7)), "8 are needed"),
        (record(records.END_REQUEST), "8 are needed"),
        (record(records.GET_VALUES_RESULT), "with request id 1"),
        (END + record(records.STDOUT, b"x"), "after the end"),
        (END + b"x", "after the end"),
        *((record(kind), "only a web server") for kind in (1, 2, 4, 5, 8, 9)),
    ],
)
@pytest.mark.parametrize("piecewise", [False, True])
def test_what_an_application_must_not_send(data: bytes, message: str, piecewise: bool) -> None:
    decoder = Decoder()
    with pytest.raises(ProtocolError, match=message):
        for piece in [data[at : at + 1] for at in range(len(data))] if piecewise else [data]:
            decoder.feed(piece)


def test_management_records_are_noted_within_bounds() -> None:
    decoder = Decoder()
    decoder.feed(record(records.UNKNOWN_TYPE, bytes(8), request_id=0))
    decoder.feed(record(0) * 100 + record(200, b"x", request_id=5))
    assert "does not know" in decoder.notes[0] and "unknown type 0" in decoder.notes[1]
    assert len(decoder.notes) == 16


def test_the_connection_ends_too_early() -> None:
    decoder = Decoder()
    decoder.feed(record(records.STDOUT, b"x"))
    with pytest.raises(ProtocolError, match="before the end"):
        decoder.eof()
    decoder.feed(END)
    decoder.eof()


@given(st.binary(max_size=200))
def test_nonsense_is_a_protocol_error_at_worst(data: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(data)
    except ProtocolError:
        return
    assert sum(map(len, decoder.stdout)) <= len(data)
