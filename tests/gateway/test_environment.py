"""What the differential test cannot show: where we differ on purpose, and the bounds of what is kept."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from appliance.config import PoolDefinition
from appliance.gateway.environment import Parameters, split_match, split_physical, split_prefix
from appliance.gateway.errors import RequestRefused
from appliance.gateway.records import decode_pairs
from appliance.http.request import Endpoint, Request, Rewritten

ENDPOINT = Endpoint("http", "127.0.0.1:80", "10.0.0.1", 4711, "127.0.0.1", 80)
RESPONDER = PoolDefinition("app", "fastcgi", check_local=False)


def request(*headers: tuple[bytes, bytes], **changes: Any) -> Request:
    found = Request(
        method="GET",
        target=b"/a/b?q",
        version="HTTP/1.1",
        headers=list(headers),
        path="/a/b",
        query="q",
        authority="",
        host="",
        endpoint=ENDPOINT,
        content_length=0,
        keep_alive=True,
    )
    connection = {field.name for field in dataclasses.fields(Endpoint)} & changes.keys()
    found.endpoint = dataclasses.replace(ENDPOINT, **{name: changes.pop(name) for name in connection})
    return dataclasses.replace(found, **changes)


def encode(
    asked: Request,
    definition: PoolDefinition = RESPONDER,
    environment: dict[str, str] | None = None,
    length: int = 0,
    name: str = "",
) -> dict[bytes, bytes]:
    split = split_prefix(definition, "/a", asked.path, "/srv")
    pairs = decode_pairs(Parameters(definition, "tag", name).encode(asked, split, environment or {}, length))
    assert len(pairs) == len(dict(pairs)), "a variable is there twice"
    return dict(pairs)


@pytest.mark.parametrize(
    ("host", "name", "expected"),
    [("", "", b"127.0.0.1"), ("h.example", "", b"h.example"), ("h.example", "configured", b"configured")],
)
@pytest.mark.holds("server.name")
def test_server_name_is_never_empty(host: str, name: str, expected: bytes) -> None:
    assert encode(request(host=host), name=name)[b"SERVER_NAME"] == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"X-A", b"X_A"), (b"X_A", b"x-a"), (b"X.A", b"X-A"), (b"Content-Type", b"Content-Type")],
)
def test_two_names_for_one_variable(one: bytes, other: bytes) -> None:
    asked = request((one, b"1"), (other, b"2"))
    if one.lower() == other.lower():
        assert encode(asked)[b"CONTENT_TYPE"] == b"1, 2"
    else:
        with pytest.raises(RequestRefused, match="HTTP_X_A") as caught:
            encode(asked)
        assert caught.value.status == 400


def test_a_name_with_an_underscore_alone_is_no_harm() -> None:
    asked = request((b"X_A", b"1"), (b"Content_Length", b"9"), (b"X_B", b"2"), (b"x_b", b"3"))
    found = encode(asked)
    assert (found[b"HTTP_X_A"], found[b"HTTP_CONTENT_LENGTH"], found[b"HTTP_X_B"]) == (b"1", b"9", b"2, 3")


def test_fields_that_never_pass() -> None:
    asked = request((b"pRoXy", b"evil"), (b"Upgrade", b"h2c"), (b"Transfer-Encoding", b"chunked"))
    assert not any(name.startswith(b"HTTP_") for name in encode(asked))


def test_octets_beyond_ascii_survive() -> None:
    path = "/a/" + b"\xff\xc3\xa4".decode("utf-8", "surrogateescape")
    found = encode(request((b"X", b"\xff"), path=path, query="\udcff"), environment={"REMOTE_USER": "jöe"})
    assert found[b"PATH_INFO"] == b"/\xff\xc3\xa4"
    assert found[b"PATH_TRANSLATED"] == b"/srv/\xff\xc3\xa4"
    assert found[b"QUERY_STRING"] == b"\xff"
    assert found[b"HTTP_X"] == b"\xff"
    assert found[b"REMOTE_USER"] == "jöe".encode()


def test_https_and_unix_sockets() -> None:
    found = encode(request(scheme="https", remote_address="", remote_port=0, local_address="", local_port=0))
    assert (found[b"HTTPS"], found[b"REQUEST_SCHEME"], found[b"REMOTE_ADDR"]) == (b"on", b"https", b"")


def test_an_absolute_target_names_the_host() -> None:
    asked = request((b"Host", b"other"), (b"X", b"y"), target=b"http://h:81?q", authority="h:81", host="h")
    found = encode(asked)
    assert (found[b"HTTP_HOST"], found[b"REQUEST_URI"], found[b"SERVER_NAME"]) == (b"h:81", b"/?q", b"h")


def test_after_a_rewrite() -> None:
    rewritten = Rewritten(b"/a/./%c3%a4?x=y", 1, finished=True)
    found = encode(request(target=b"/old", path="/a/ä", query="x=y", rewritten=rewritten))
    assert (found[b"REQUEST_URI"], found[b"REDIRECT_URI"]) == (b"/old", b"/a/%C3%A4?x=y")


def test_an_error_handler_tells_the_status() -> None:
    assert encode(request(), environment={"REDIRECT_STATUS": "404"})[b"REDIRECT_STATUS"] == b"404"


def test_an_authorizer_has_no_script() -> None:
    found = encode(request(), PoolDefinition("auth", "fastcgi", mode="authorizer", docroot="/elsewhere"))
    assert not {b"CONTENT_LENGTH", b"SCRIPT_NAME", b"PATH_INFO", b"PATH_TRANSLATED"} & set(found)
    assert found[b"SCRIPT_FILENAME"] == b"/elsewhere/a/b"


def test_the_length_is_the_real_one() -> None:
    assert encode(request((b"Transfer-Encoding", b"chunked")), length=123)[b"CONTENT_LENGTH"] == b"123"


def test_a_file_with_a_document_root_of_its_own() -> None:
    definition = PoolDefinition("app", "fastcgi", docroot="/far/", broken_scriptfilename=True)
    assert split_physical(definition, "/x.php", "/info", "/srv/x.php", "/srv") == (
        "/x.php",
        "/info",
        "/far/x.php",
        "/far/",
        "/far/info",
    )


def test_what_is_kept_is_bounded() -> None:
    parameters = Parameters(RESPONDER, "tag")
    for number in range(2000):
        asked = request(
            (b"X-%d" % number, b"1"), (b"x-%d" % number, b"2"), host=f"h{number}", path=f"/a/{number}"
        )
        split = split_prefix(RESPONDER, "/a", asked.path, "/srv")
        found = dict(decode_pairs(parameters.encode(asked, split, {}, 0)))
        assert found[b"HTTP_X_%d" % number] == b"1, 2"
        assert found[b"SERVER_NAME"] == b"h%d" % number and found[b"PATH_INFO"] == b"/%d" % number
    assert len(parameters._fields) < 1000
    assert len(parameters._constants) <= 256 and len(parameters._scripts) <= 256


@pytest.mark.parametrize(
    ("pattern", "path", "script_name", "path_info"),
    [
        ("^/trac(/|$)", "/trac", "/trac", ""),
        ("^/trac(/|$)", "/trac/", "/trac", "/"),
        ("^/trac(/|$)", "/trac/x/y", "/trac", "/x/y"),
        ("^/", "/", "", "/"),
        ("^/", "/x/y", "", "/x/y"),
        ("^/(?!static/)", "/x/y", "", "/x/y"),
        ("^/tr", "/trac/x", "/trac", "/x"),
        (r"\.fcgi(/|$)", "/a/b.fcgi/c", "/a/b.fcgi", "/c"),
        ("^", "/x", "", "/x"),
        ("x$", "/a/x", "/a/x", ""),
    ],
)
def test_a_match_divides_the_path_where_it_ends(
    pattern: str, path: str, script_name: str, path_info: str
) -> None:
    found = re.search(pattern, path)
    assert found is not None
    split = split_match(RESPONDER, found.end(), path, "/srv")
    assert (split.script_name, split.path_info) == (script_name, path_info)
