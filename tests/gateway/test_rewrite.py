"""url.rewrite-…: what an application, the next handler and the client see, compared with a real lighttpd."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.config import load
from tests.box import Box
from tests.gateway.responder import Responder
from tests.http_client import ProtocolViolation
from tests.lighttpd import Lighttpd
from tests.server import Server

RULES = r"""
url.access-deny = ("denied.php")
url.redirect = ("^/x.php/red" => "/red2", "^/both" => "/never")
url.rewrite-once = (
  "^/a/(\w+)(?:\?(.*))?$" => "/x.php/$1?z=$1&$2",
  "^/q$" => "/x.php?new=1",
  "^/qsa" => "/x.php${qsa}",
  "^/qsb" => "/x.php?b=1${qsa}",
  "^/denied.php" => "/x.php",
  "^/todeny" => "/y-denied.php",
  "^/both" => "/x.php/red/1",
  "^/empty(.*)" => "",
  "^/empty2" => "/x.php",
  "^/enc/(.*)" => "/x.php/$1/${esc:1}/${escpsnde:1}",
  "^/dots" => "/x.php/../x.php/a//b/.",
  "^/frag" => "/x.php/a#b?c",
  "^/file$" => "/file.txt",
  "^/space" => "/x.php/a b?c d\"<>",
  "^/signs" => "/x.php/$0%%41$$",
  "^/parts" => "/x.php/${url.scheme}/${url.authority}/%{url.port}?${url.path}&${url.query}",
  "^/letter/ü(.*)" => "/x.php/ö$1",
  "^/none" => "/missing",
  "^/last" => "/first",
  "^/first" => "/x.php/first",
)
url.rewrite = ("^/old" => "/x.php/old", "^/order" => "/x.php/rewrite")
url.rewrite-final = ("^/order" => "/x.php/final", "^/final" => "/x.php/final")
url.rewrite-repeat = (
  "^/order" => "/x.php/repeat", "^/rr/(.*)" => "/$1", "^/to-once" => "/a/zz", "^/ends" => "/x.php"
)
$HTTP["host"] =~ "^(\w+)\.(example)$" {
  url.rewrite-once = ("^/c1" => "/x.php/%0-%1-%2-%3", "^/c2" => "/x.php/%{1}-%{esc:1}-${%1}")
  $HTTP["url"] =~ "^/n/(.*)" { url.rewrite-once = ("^/n/(\w)" => "/x.php/$1/%0/%1/%2") }
  $HTTP["url"] == "/eq" { url.rewrite-once = ("^/eq" => "/x.php/eq-%0-%1") }
  $HTTP["url"] =^ "/prefix" { url.rewrite-once = ("^/pre" => "/x.php/pre-%0-%1") }
  $HTTP["url"] =$ "/suffix" { url.rewrite-once = ("^/" => "/x.php/%0/%1") }
  $HTTP["url"] =~ "^/red/(.*)" { url.redirect = ("^/red" => "/to/%1/%0") }
  $HTTP["remoteip"] == "127.0.0.0/8" {
    $HTTP["url"] =~ "^/ip" {
      $HTTP["remoteip"] == "127.0.0.1" { url.rewrite-once = ("^/" => "/x.php/%0/%1") }
    }
  }
}
$HTTP["query-string"] =~ "id=(\d+)" { url.rewrite-once = ("^/(.*)" => "/x.php/id-%1") }
$HTTP["url"] =~ "^/inner" { url.rewrite-once = ("^/inner$" => "/x.php/inner") }
$HTTP["url"] =~ "^/nf" { url.rewrite-if-not-file = ("^/nf/(.*)" => "/x.php/nf/$1") }
$HTTP["url"] =~ "^/(file|missing|sub|x.php|alias)" {
  url.rewrite-if-not-file = ("^/(.*)" => "/x.php/NF?u=$1")
}
$HTTP["url"] =~ "^/rn" {
  url.rewrite-repeat-if-not-file = (
    "^/rnr/(.*)" => "/rn/$1", "^/rn/rr(.*)" => "/rn/$1", "^/rn/(.*)" => "/x.php/$1"
  )
}
$HTTP["url"] =~ "^/pass" { url.rewrite-once = ("^/pass1" => "/pass2")
  url.rewrite-if-not-file = ("^/pass2" => "/x.php/pass") }
"""

REQUESTS = """
/a/b
/a/b?q=1
/a/ab%63
/a%2fab
//a//b
/q
/q?x
/qsa
/qsa?x=1
/qsb?x=1
/denied.php
/todeny
/both
/empty
/empty2
/enc/a%20b%2fc%C3%BC%3f?x
/dots
/frag
/file
/space
/signs
/parts?q=%20&r
/letter/%c3%bcx
/none
/last
/first
/old
/final
/order
/rr/rr/x.php/i?k=v
/rr/a/b
/to-once
/ends
/x.php/plain
/x.php?id=12
/plain?id=12
/inner
/inner/a/b
/nf/a
/file.txt
/missing
/sub
/sub/
/x.php
/x.php/path
/alias/a
/rn/x
/rnr/x
/rnr/rrx
/pass1
/pass2
""".strip().splitlines()

OF_CONDITIONS = """
/c1
/c2
/n/abc
/eq
/prefix/x
/y/suffix
/ip
/red/x
""".strip().splitlines()

SEEN = (b"QUERY_STRING", b"REQUEST_URI", b"REDIRECT_URI", b"REDIRECT_STATUS", b"SCRIPT_NAME", b"PATH_INFO")


class Found(NamedTuple):
    """What came of a request: for the client, and what an application was asked, if one was."""

    status: int
    location: str | None
    body: bytes
    asked: list[tuple[bytes, bytes]]


class Site:
    """lighttpd and our server with the same rules, before one application."""

    def __init__(self, directory: Path) -> None:
        root = directory / "root"
        (root / "sub").mkdir(parents=True)
        for name in ("x.php", "file.txt", "y-denied.php"):
            (root / name).write_text(name)
        for path in (directory, root, root / "sub"):
            path.chmod(0o755)
        self.responder = Responder(directory / "responder.sock")
        (directory / "responder.sock").chmod(0o666)
        self.text = (
            f'server.document-root = "{root}"\n'
            'server.modules = ("mod_access", "mod_alias", "mod_redirect", "mod_rewrite", "mod_fastcgi")\n'
            f'fastcgi.server = (".php" => (("socket" => "{directory}/responder.sock")))\n'
            f'alias.url = ("/alias/" => "{root}/sub/")\n'
        )
        self.lighttpd = Lighttpd(directory / "lighttpd").serve(self.text + RULES)
        self.box = Box(directory / "box").serve(self.text + RULES)

    def close(self) -> None:
        """End all three."""
        self.box.end()
        self.lighttpd.end()
        self.responder.close()

    def ask(self, server: Server, target: str, host: str) -> Found:
        """One request; the port of the server is the same for both in what comes back."""
        self.responder.params = b""
        answer = server.fetch(target, headers=[("Host", host)])
        port = str(server.port).encode()
        asked = [(name, value.replace(port, b"80")) for name, value in self.responder.pairs if name in SEEN]
        return Found(
            answer.status, answer.header("Location"), answer.body if answer.status == 200 else b"", asked
        )


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    directory = Path(tempfile.mkdtemp(prefix="fcgibox-", dir="/tmp"))
    made = Site(directory)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize(
    ("target", "host"),
    [*((target, "h") for target in REQUESTS), *((target, "h.example") for target in OF_CONDITIONS)],
)
@pytest.mark.holds(
    "url.rewrite",
    "url.rewrite-once",
    "url.rewrite-final",
    "url.rewrite-repeat",
    "url.rewrite-if-not-file",
    "url.rewrite-repeat-if-not-file",
)
def test_same_outcome(site: Site, target: str, host: str) -> None:
    expected = site.ask(site.lighttpd, target, host)
    assert site.ask(site.box, target, host) == expected


def test_a_location_stays_a_url(site: Site) -> None:
    """lighttpd puts what the condition found into it as it is, a blank too."""
    assert site.ask(site.lighttpd, "/red/a%20b", "h.example").location == "/to/a b//red/a b"
    assert site.ask(site.box, "/red/a%20b", "h.example").location == "/to/a%20b//red/a%20b"


def test_a_body_is_not_lost(site: Site) -> None:
    for server in (site.lighttpd, site.box):
        assert server.fetch("/a/b", method="POST", body=b"x" * 100_000).status == 200
        assert site.responder.body == b"x" * 100_000


@pytest.mark.parametrize("option", ["url.rewrite-repeat", "url.rewrite-repeat-if-not-file"])
@pytest.mark.holds("url.rewrite-repeat", "url.rewrite-repeat-if-not-file")
def test_a_loop_ends(box: Box, lighttpd: Lighttpd, place: Path, option: str) -> None:
    """lighttpd closes the connection without a word; we answer 500 and say why."""
    text = (
        f'server.document-root = "{place}"\nserver.modules = ("mod_rewrite")\n'
        f'{option} = ("^/loop" => "/loop", "^/n/([0-9]*)" => "/n/1$1")\n'
    )
    lighttpd.serve(text)
    box.serve(text)
    for path in ("/loop", "/n/"):
        with pytest.raises((ProtocolViolation, ConnectionError)), lighttpd.wire() as wire:
            wire.get(path)
        assert box.fetch(path).status == 500
    box.wait_log("GET /loop answered with 500: rewritten 100 times, last to /loop: url.rewrite-once")
    box.wait_log(f"last to /n/{'1' * 100}: ")
    assert box.fetch("/other").status == 404


def test_what_is_no_path_is_an_error(box: Box) -> None:
    box.serve(
        'server.document-root = "/"\nserver.modules = ("mod_rewrite")\n'
        'url.rewrite-once = ("^/to/(.*)" => "$1", "^/bad" => "/%%ff", "^/line" => "/%%0a")\n'
    )
    assert [box.fetch(path).status for path in ("/to/x", "/bad", "/line")] == [500, 400, 400]
    box.wait_log("GET /to/x answered with 500: rewritten to 'x' by ^/to/(.*): a path begins with /")
    box.wait_log("GET /bad answered with 400: rewritten to '/%ff' by ^/bad: the path is not UTF-8")


def test_groups_of_no_condition_are_noticed() -> None:
    text = 'server.modules = ("mod_rewrite")\nurl.rewrite-once = ("^/a" => "/b%20c", "^/d" => "/%%20e")\n'
    (notice,) = load(text, "t").notices
    assert "%2 is empty here" in notice.reason
    assert "%%2" in notice.hint


def test_the_limit_of_a_body_is_that_of_the_new_path(box: Box, place: Path) -> None:
    responder = Responder(place / "s")
    (place / "s").chmod(0o666)
    box.serve(
        'server.document-root = "/"\nserver.modules = ("mod_rewrite", "mod_fastcgi")\n'
        f'fastcgi.server = ("/small" => (("socket" => "{place}/s", "check-local" => "disable")))\n'
        'url.rewrite-once = ("^/big" => "/small")\n'
        '$HTTP["url"] =~ "^/small" { server.max-request-size = 1 }\n'
    )
    try:
        assert box.fetch("/big", method="POST", body=b"x" * 2000).status == 413
        assert box.fetch("/big", method="POST", body=b"x" * 1000).status == 200
    finally:
        responder.close()
