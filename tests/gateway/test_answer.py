"""The head of an answer: how it is read, what is kept from the client, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.gateway.answer import LARGEST_HEAD, AnswerHead, HeadParser
from appliance.gateway.errors import ProtocolError


def read(data: bytes, sendfile: bool = False) -> AnswerHead:
    head = HeadParser(sendfile).feed(data)
    assert head is not None
    return head


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_usual_head(end: bytes) -> None:
    parser = HeadParser()
    lines = (
        b"Status: 404 Not Found",
        b"Content-Type: text/html",
        b"X-A:b",
        b"Set-Cookie: c=d",
        b"",
        b"body\n\n",
    )
    for _ in range(2):  # the second time some lines are known
        head = parser.feed(end.join(lines))
        assert head == AnswerHead(
            404, [(b"Content-Type", b"text/html"), (b"X-A", b"b"), (b"Set-Cookie", b"c=d")], None
        )
        assert parser.rest == b"body\n\n"
        parser.reset()


@given(st.lists(st.integers(1, 9), min_size=1), st.sampled_from((b"\n", b"\r\n")))
def test_any_fragmentation(sizes: list[int], end: bytes) -> None:
    lines = (
        b"HTTP/1.0 103 Early",
        b"Link: a",
        b"",
        b"Status: 201",
        b"Content-Length: 4",
        b"A: b",
        b"",
        b"rest",
    )
    data = end.join(lines)
    parser = HeadParser()
    head = None
    position = turn = 0
    while head is None:
        size = sizes[turn % len(sizes)]
        head = parser.feed(data[position : position + size])
        position += size
        turn += 1
    assert head == AnswerHead(201, [(b"A", b"b")], 4)
    assert parser.interim == [AnswerHead(103, [(b"Link", b"a")], None)]
    assert (parser.rest + data[position:]) == b"rest"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"A: b", 200),
        (b"Location: /x", 302),
        (b"Location: /x\r\nStatus: 201", 201),
        (b"Status: 200\r\nLocation: /x", 200),
        (b"Status:  204  No Content", 204),
        (b"Status: 999", 999),
        (b"HTTP/1.1 404 Not Found\r\nA: b", 404),
        (b"HTTP/1.1 404\r\nStatus: 500 Oh", 500),
    ],
)
def test_status(text: bytes, status: int) -> None:
    assert read(text + b"\r\n\r\n").status == status
    assert read(text + b"\r\n\r\n").status == status


@pytest.mark.parametrize("data", [b"\nrest", b"\r\nrest", b"\r\nre\n\nst"])
def test_no_field_at_all(data: bytes) -> None:
    parser = HeadParser()
    assert parser.feed(data) == AnswerHead(200, [], None)
    assert parser.rest == data.partition(b"\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        b"no colon",
        b"HTTP/1.1 abc",
        b"HTTP/1.1 99 x",
        b"Status: abc",
        b"Status: 404nope",
        b"Status: 099",
        b"Status: 101 Switching Protocols",
        b"Status: 100",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5, 6",
        b"Content-Length: -5",
        b"Content-Length: +5",
        b"Content-Length:",
        b"Content-Length: 5 5",
        b"Content-Length: " + b"9" * 30,
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"X: " + b"y" * LARGEST_HEAD,
    ],
)
def test_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(text + b"\r\n\r\n")


def test_a_head_without_end_is_bounded() -> None:
    parser = HeadParser()
    with pytest.raises(ProtocolError, match="longer than 65536"):
        for _ in range(LARGEST_HEAD // 1000 + 1):
            parser.feed(b"x" * 1000)
    with pytest.raises(ProtocolError, match="longer than 65536"):
        HeadParser().feed(b"x" * (LARGEST_HEAD + 1))


def test_interim_heads_are_bounded() -> None:
    with pytest.raises(ProtocolError, match="interim"):
        HeadParser().feed(b"Status: 103\n\n" * 9)


def test_invalid_fields_are_skipped_with_a_note() -> None:
    parser = HeadParser()
    head = parser.feed(b"A: b\n folded: x\nB c: d\nC: d\0e\n: f\nno colon\nD : e\nE: f\rg\nF:\nG: h\n\n")
    assert head is not None and head.headers == [(b"A", b"b"), (b"G", b"h")]
    assert len(parser.notes) == 7


def test_what_frames_the_message_stays_here() -> None:
    head = read(
        b"Connection: close, X-Hop\nKeep-Alive: 5\nProxy-Connection: x\nTE: x\nTrailer: y\nUpgrade: z\n"
        b"Date: now\nServer: me\nX-Hop: 1\nTransfer-Encoding: Chunked\nContent-Length: 5\nX: y\n\n"
    )
    assert head == AnswerHead(200, [(b"X", b"y")], None, upgrade=b"z", chunked=True, close=True)


def test_equal_lengths_are_one() -> None:
    assert read(b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n").content_length == 5
    assert read(b"Content-Length: 5, 5\r\n\r\n").content_length == 5


@pytest.mark.parametrize(
    ("field", "streaming"),
    [
        (b"X-Accel-Buffering: no", True),
        (b"X-Accel-Buffering: yes", False),
        (b"Content-Type: Text/Event-Stream; charset=utf-8", True),
        (b"Content-Type: text/plain", False),
    ],
)
def test_streaming(field: bytes, streaming: bool) -> None:
    for _ in range(2):
        head = read(field + b"\n\n")
        assert head.streaming is streaming and len(head.headers) == 1


@pytest.mark.parametrize("name", [b"X-Sendfile", b"x-sendfile", b"X-LIGHTTPD-send-file"])
def test_sendfile(name: bytes) -> None:
    data = name + b": /a%20b\nContent-Length: 3\nContent-Type: x/y\n\n"
    assert read(data, sendfile=True) == AnswerHead(200, [(b"Content-Type", b"x/y")], None, b"/a%20b")
    assert read(data) == AnswerHead(200, [(name, b"/a%20b"), (b"Content-Type", b"x/y")], 3)


@given(st.binary(max_size=80))
def test_nonsense_is_a_protocol_error_at_worst(data: bytes) -> None:
    try:
        head = HeadParser().feed(data + b"\n\n")
    except ProtocolError:
        return
    if head is not None:
        assert 200 <= head.status <= 999
        assert not any(b"\n" in text or b"\r" in text for header in head.headers for text in header)
