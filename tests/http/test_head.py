"""Request heads: what is accepted, and the status of each refusal (RFC 9112 sections 2, 3 and 6)."""

import pytest

from appliance.http.head import BadRequest, find_head, parse_head
from appliance.http.request import Endpoint

ENDPOINT = Endpoint("http", "127.0.0.1:80", "192.0.2.1", 4711, "127.0.0.1", 80)


def head(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def test_a_plain_request() -> None:
    request = parse_head(
        head(
            "GET /a%20b/../c?x=%31 HTTP/1.1",
            "Host: Example.ORG:8080",
            "X-A: 1",
            "x-a: 2",
            "Cookie: a=1",
            "Cookie: b=2",
        ),
        ENDPOINT,
    )
    assert request.content_length == 0
    assert (request.method, request.target, request.path, request.query) == (
        "GET",
        b"/a%20b/../c?x=%31",
        "/c",
        "x=%31",
    )
    assert (request.host, request.authority) == ("example.org", "Example.ORG:8080")
    assert request.header("x-a") == "1, 2"
    assert request.header("cookie") == "a=1; b=2"
    assert (request.content_length, request.keep_alive) == (0, True)
    assert [name for name, _ in request.headers] == [b"Host", b"X-A", b"x-a", b"Cookie", b"Cookie"]


def test_an_absolute_target_overrides_host() -> None:
    request = parse_head(head("GET http://other.example/x?y HTTP/1.1", "Host: example.org"), ENDPOINT)
    assert (request.host, request.path, request.query) == ("other.example", "/x", "y")


def test_an_upgrade_nobody_takes_is_an_ordinary_request() -> None:
    request = parse_head(head("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: h2c"), ENDPOINT)
    assert request.path == "/"


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (("GET / HTTP/1.1", "Host: a"), True),
        (("GET / HTTP/1.1", "Host: a", "Connection: foo, Close"), False),
        (("GET / HTTP/1.0",), False),
        (("GET / HTTP/1.0", "Connection: Keep-Alive"), True),
    ],
)
def test_persistence(lines: tuple[str, ...], keep_alive: bool) -> None:
    assert parse_head(head(*lines), ENDPOINT).keep_alive is keep_alive


REFUSED = [
    (400, ("GET / HTTP/1.1",)),
    (400, ("GET / HTTP/1.1", "Host: a", "Host: a")),
    (400, ("GET / HTTP/1.1", "Host: a b")),
    (400, ("GET / HTTP/1.1", "Host: a:99999")),
    (400, ("GET / HTTP/1.1", "Host: a/b")),
    (400, ("GET / HTTP/1.1", "Host: a", "Content-Length: 1", "Content-Length: 1")),
    (400, ("GET / HTTP/1.1", "Host: a", "Content-Length: +1")),
    (400, ("GET / HTTP/1.1", "Host: a", "Content-Length: 1, 1")),
    (400, ("GET / HTTP/1.1", "Host: a", "Content-Length: -1")),
    (400, ("GET / HTTP/1.1", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked")),
    (400, ("GET / HTTP/1.0", "Transfer-Encoding: chunked")),
    (501, ("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked")),
    (400, ("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip")),  # no way to tell where it ends
    (417, ("POST / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 200-maybe")),
    (501, ("BREW / HTTP/1.1", "Host: a")),
    (405, ("CONNECT a:80 HTTP/1.1", "Host: a:80")),
    (505, ("GET / HTTP/2.0", "Host: a")),
    (505, ("PRI * HTTP/2.0",)),
    (505, ("GET / HTTP/1.2", "Host: a")),
    (400, ("GET / HTTP/1.1", "Host: a", "No colon")),
    (400, ("GET / HTTP/1.1", "Host : a")),
    (400, ("GET / HTTP/1.1", "Host: a", "X: 1", " folded")),
    (400, ("GET / HTTP/1.1", "Host: a", "X: \x00")),
    (400, ("GET  / HTTP/1.1", "Host: a")),
    (400, ("hello",)),
    (431, ("GET / HTTP/1.1", "Host: a", *(f"X-{n}: 1" for n in range(100)))),
]


@pytest.mark.parametrize(("status", "lines"), REFUSED, ids=[" | ".join(lines)[:60] for _, lines in REFUSED])
def test_refusals(status: int, lines: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest) as error:
        parse_head(head(*lines), ENDPOINT)
    assert error.value.status == status, error.value.reason


def test_finding_the_end() -> None:
    assert find_head(b"GET / HTTP/1.1\r\nHost: a\r\n", 8192) == 0
    assert find_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", 8192) == 27
    for status, data in (
        (400, b"GET / HTTP/1.1\nHost: a\n\n"),
        (414, b"G" * 8192),
        (431, b"GET / HTTP/1.1\r\n" + b"x" * 8192),
    ):
        with pytest.raises(BadRequest) as error:
            find_head(data, 8192)
        assert error.value.status == status


def test_empty_lines_before_a_request() -> None:
    assert find_head(b"\r\n", 8192) == 0
    assert find_head(b"\r\nGET", 8192) == -2
    assert find_head(b"\r\nGET / HTTP/1.0\r\n\r\n", 8192) == 20
    assert parse_head(b"\r\nGET / HTTP/1.0\r\n\r\n", ENDPOINT).path == "/"
    assert find_head(b"\r\n\r", 8192) == 0
    # Half an empty line is none, however the octets arrive.
    for data in (b"\r\n\r\n\r\nGET", b"\rGET", b"\nGET", b"\r\n\rGET", b"\rGET / HTTP/1.0\r\n\r\n"):
        with pytest.raises(BadRequest):
            find_head(data, 8192)
