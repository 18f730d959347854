"""url.redirect and what a target may say, compared with a real lighttpd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http_client import Wire
from tests.lighttpd import Lighttpd
from tests.static.corpus import Case, parse
from tests.static.subject import Handlers

CONFIGURATION = r"""
server.document-root = "/"
server.modules = ("mod_redirect")
url.redirect-code = 302
url.redirect = (
  "^/a/(\w+)(?:/(\w+))?$" => "/b/$1-$2-$3-$0-%%$$x",
  "^/authority" => "https://${url.authority}:${url.port}${url.path}?${qsa}x=y",
  "^/parts" => "${url.scheme}:/${url.path}/${url.query}",
  "^/never" => "",
  "^/never/(.*)" => "/not-reached",
  "^/encoded/(.*)" => "/${escpsnde:1}/${escnde:1}/${esc:1}/${1}",
  "^/twice" => "/a${qsa}&b${qsa}",
  "^/relative" => "?${qsa}",
  "^/unknown(.)" => "/x${foo}y${foo:1}z$y%z",
  "^/colon:b" => "/ok",
  "^/space%20(.*)" => "/space/$1",
  "^/letter/ü" => "/umlaut",
  "^/open/(.*)" => "//other/$1",
)
$HTTP["url"] =~ "^/url(.)" { url.redirect = ("^/url.(.)" => "/got-$1") }
"""

REQUESTS = """
GET /a/x
GET /a/x/y
GET /a/x/y?z
GET /a/x/y/z
GET /authority/x%20y?q=1
GET /authority
GET /parts/x%20y?q
GET /never
GET /never/again
GET /encoded/a%20b%2fc%C3%BC%3f
GET /twice?q=1
GET /relative?q
GET /unknowna
GET /colon:b
GET /colon%41
GET /space%20x%20y
GET /letter/%C3%BC
GET /letter/%c3%bc?q
GET /open/x
GET /urlab
HEAD /a/x
PUT /a/x | Content-Length: 0
OPTIONS /a/x
""".strip().splitlines()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lighttpd, str]]:
    with Lighttpd(tmp_path_factory.mktemp("redirect")) as lighttpd:
        yield lighttpd.serve(CONFIGURATION), CONFIGURATION


@pytest.mark.parametrize("line", REQUESTS)
@pytest.mark.holds("url.redirect")
def test_same_location(servers: tuple[Lighttpd, str], line: str) -> None:
    lighttpd, text = servers
    case: Case = parse(line)
    with Wire(lighttpd.address) as wire:
        expected = wire.send(case.raw()).answer(case.method)
    got = Handlers(text, local_port=lighttpd.port).ask(case.raw())
    assert (got.status, got.header("Location")) == (expected.status, expected.header("Location"))


def test_a_location_has_no_line_breaks() -> None:
    """What a capture brings along cannot add a header field."""
    handlers = Handlers(
        'server.document-root = "/"\nserver.modules = ("mod_redirect")\n'
        'url.redirect = ("^/x" => "/${escpsnde:url.query}${url.query}")'
    )
    location = handlers.ask(b"GET /x?%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: h\r\n\r\n").header("Location")
    assert location is not None
    assert location.isprintable()
    assert " " not in location
