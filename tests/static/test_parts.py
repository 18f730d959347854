"""The pure parts: dates, ranges, preconditions, targets, media types."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http import conditional, ranges
from appliance.http.dates import http_date, parse_http_date
from appliance.http.mime import MediaTypes
from appliance.http.target import BadTarget, Target, encode_path, encode_query, parse_target

NOVEMBER = 784_111_777  # the date of RFC 9110 section 5.6.7


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_three_formats(text: str) -> None:
    assert parse_http_date(text) == NOVEMBER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 00 Nov 1994 00:00:00 GMT",
        "Sun, 06 Nov 0000 00:00:00 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=3",
        "Sun Nov 06 08:49:37 94",
        "Sun, \u06606 Nov 1994 08:49:37 GMT",
    ],
)
def test_no_date(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.integers(min_value=0, max_value=2**33))
def test_dates_come_back(seconds: int) -> None:
    assert http_date(seconds).decode() == formatdate(seconds, usegmt=True)
    assert parse_http_date(http_date(seconds).decode()) == seconds


def test_two_digit_years_are_at_most_fifty_years_ahead() -> None:
    for year in range(100):
        seconds = parse_http_date(f"Sunday, 06-Nov-{year:02d} 08:49:37 GMT")
        assert seconds is not None
        assert time.gmtime().tm_year - 50 <= time.gmtime(seconds).tm_year <= time.gmtime().tm_year + 50


specifiers = st.one_of(
    st.builds(lambda a, b: f"{a}-{b}", st.integers(0, 1200), st.integers(0, 1200)),
    st.builds("{}-".format, st.integers(0, 1200)),
    st.builds("-{}".format, st.integers(0, 1200)),
    st.text(alphabet="0123456789-, ;x", max_size=8),
)


@given(st.lists(specifiers, max_size=30), st.integers(1, 1000))
def test_pieces_lie_in_the_file_and_never_touch(chosen: list[str], size: int) -> None:
    pieces = ranges.select("bytes=" + ",".join(chosen), size)
    if pieces is None:
        return
    assert len(pieces) <= ranges.LIMIT
    for offset, length in pieces:
        assert 0 <= offset < offset + length <= size
    for (one, one_length), (two, _) in zip(sorted(pieces), sorted(pieces)[1:], strict=False):
        assert one + one_length + ranges.GAP <= two


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 40)), min_size=1, max_size=9))
def test_every_octet_asked_for_is_there(wanted: list[tuple[int, int]]) -> None:
    field = ",".join(f"{first}-{first + more}" for first, more in wanted)
    pieces = ranges.select(f"bytes={field}", 4000)
    assert pieces is not None
    for first, more in wanted:
        assert any(offset <= first and first + more < offset + length for offset, length in pieces)


def test_floods_are_not_served() -> None:
    assert ranges.select("bytes=" + ",".join(f"{n}000-{n}001" for n in range(11)), 10**6) is None
    assert ranges.select("bytes=" + "0-," * 100_000, 10**6) is None
    assert ranges.select("bytes=" + "0-," * 150, 10**6) == [(0, 10**6)]
    started = time.perf_counter()
    assert ranges.select("bytes=" + "9" * 60_000 + "-", 100) == []
    assert ranges.select("bytes=" + " " * 60_000 + "x", 100) == []
    assert ranges.select("bytes=1" + " " * 60_000 + "x", 100) == []
    assert time.perf_counter() - started < 0.5


def test_multipart_is_what_the_lengths_say() -> None:
    media_type, parts = ranges.multipart([(0, 2), (100, 3)], 200, b"text/plain")
    boundary = media_type.partition(b"boundary=")[2]
    assert parts[1] == (0, 2)
    assert parts[3] == (100, 3)
    head = b"--" + boundary + b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/200\r\n\r\n"
    assert parts[0] == head
    assert parts[4] == b"\r\n--" + boundary + b"--\r\n"
    assert ranges.multipart([(0, 2)], 200, b"")[0] != media_type


TAG, OLD, NEW = '"a,b"', "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2038 00:00:00 GMT"


@pytest.mark.parametrize(
    ("method", "fields", "decision"),
    [
        ("GET", {"if-none-match": TAG}, 304),
        ("GET", {"if-none-match": f'"x", W/{TAG}'}, 304),
        ("GET", {"if-none-match": '"a", "b"'}, None),
        ("GET", {"if-none-match": ""}, None),
        ("POST", {"if-none-match": TAG}, 412),
        ("PUT", {"if-none-match": "*"}, 412),
        ("GET", {"if-match": TAG}, None),
        ("GET", {"if-match": f"W/{TAG}"}, 412),
        ("GET", {"if-match": '"x"', "if-none-match": TAG}, 412),
        ("GET", {"if-match": TAG, "if-unmodified-since": OLD}, None),
        ("GET", {"if-unmodified-since": OLD, "if-none-match": TAG}, 412),
        ("GET", {"if-unmodified-since": "junk"}, None),
        ("GET", {"if-modified-since": NEW}, 304),
        ("GET", {"if-modified-since": OLD}, None),
        ("POST", {"if-modified-since": NEW}, None),
        ("GET", {"if-none-match": '"x"', "if-modified-since": NEW}, None),
    ],
)
def test_preconditions_in_the_order_of_the_standard(
    method: str, fields: dict[str, str], decision: int | None
) -> None:
    assert conditional.evaluate(method, fields, TAG, NOVEMBER * 2) == decision


def test_without_validators_only_the_asterisk_counts() -> None:
    for fields in ({"if-none-match": TAG}, {"if-modified-since": NEW}, {"if-unmodified-since": OLD}):
        assert conditional.evaluate("GET", fields, "", None) is None
    assert conditional.evaluate("GET", {"if-none-match": "*"}, "", None) == 304
    assert conditional.evaluate("GET", {"if-match": TAG}, "", None) == 412
    assert not conditional.range_applies({"if-range": TAG}, "", None)
    assert not conditional.range_applies({"if-range": f"W/{TAG}"}, f"W/{TAG}", None)
    assert not conditional.range_applies({"if-range": NEW}, TAG, None)
    assert conditional.range_applies({"range": "bytes=0-"}, "", None)


def test_long_fields_take_no_time() -> None:
    started = time.perf_counter()
    for field in ('"' * 60_000, '"a' * 30_000, "W/" * 30_000, "," * 60_000):
        conditional.evaluate("GET", {"if-none-match": field, "if-modified-since": field}, TAG, 0)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("target", "parsed"),
    [
        (b"/", ("/", "", None)),
        (b"/a/../../b?c#d", ("/b", "c", None)),
        (b"/a%2F..%2fb", ("/b", "", None)),
        (b"/.git/./x", ("/.git/x", "", None)),
        (b"/a?b?c#", ("/a", "b?c", None)),
        (b"/a?%0a%zz", ("/a", "%0a%zz", None)),
        (b"/%E2%82%AC", ("/€", "", None)),
        (b"*", ("*", "", None)),
        (b"http://h", ("/", "", b"h")),
        (b"HTTPS://h:1?q", ("/", "q", b"h:1")),
        (b"http://[::1]:80/x/", ("/x/", "", b"[::1]:80")),
    ],
)
def test_targets(target: bytes, parsed: tuple[str, str, bytes | None]) -> None:
    assert parse_target(target) == Target(*parsed)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"a",
        b"h:80",
        b"/ ",
        b"/\t",
        b"/\x00",
        b"/%00",
        b"/%7F",
        b"/%80",
        b"/\xed\xa0\x80",
        b"http://",
        b"http:///x",
        b"http://u:p@h/",
        b"http://[::1/",
        b"http://a:b/",
        b"ftp://h/",
        b"//h\r\n",
        b"*x",
        b"http:/x",
    ],
)
def test_bad_targets(target: bytes) -> None:
    with pytest.raises(BadTarget) as caught:
        parse_target(target)
    assert caught.value.status == 400


@given(
    st.lists(st.sampled_from([b"/", b".", b"..", b"%2e", b"%2F", b"a", b"%25", b"%41", b"\xc3\xbc", b"%"]))
)
def test_every_path_ends_in_its_final_form(pieces: list[bytes]) -> None:
    try:
        path = parse_target(b"/" + b"".join(pieces)).path
    except BadTarget:  # "%" and "aa" make an octet that is no UTF-8
        return
    segments = path.split("/")
    assert segments[0] == ""
    assert "" not in segments[1:-1]
    assert not {".", ".."} & set(segments)
    again = parse_target(encode_path(path).encode())
    assert again.path == path


@given(st.binary(max_size=40))
def test_any_octets_are_parsed_or_refused(target: bytes) -> None:
    try:
        parsed = parse_target(target)
    except BadTarget:
        return
    assert parsed.path == "*" or (parsed.path.startswith("/") and "\0" not in parsed.path)
    assert encode_query(parsed.query).isascii()
    assert encode_query(parsed.query).isprintable()


def test_media_types_fall_back() -> None:
    assert MediaTypes(()).lookup("/x.txt") == b"application/octet-stream"
    assert MediaTypes((("", "text/default"),)).lookup("/x.txt") == b"text/default"
