"""Expressions and long requests: what protects a path does so however long its URL is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.http.target import LONGEST, BadTarget, parse_target
from tests.box import Box
from tests.gateway.responder import Responder
from tests.lighttpd import Lighttpd
from tests.server import Server

RULES = """
$HTTP["host"] == "rewrite" { url.rewrite-once = ("^/private/" => "/public.txt") }
$HTTP["host"] == "redirect" { url.redirect = ("^/private/" => "/public.txt") }
$HTTP["host"] == "condition" { $HTTP["url"] =~ "^/(private|secret)/" { url.access-deny = ("") } }
$HTTP["host"] == "authorizer" {
  fastcgi.server = ("~^/private/" => ((
    "socket" => "SOCKET", "mode" => "authorizer", "check-local" => "disable"
  )))
}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "file.txt").write_text("private")
    (tmp_path / "public.txt").write_text("public")
    return tmp_path


def _ask(server: Server, host: str, target: str) -> tuple[int, bytes]:
    with server.wire() as wire:
        answer = wire.get(target, [("Host", host)])
    return answer.status, answer.body if answer.status == 200 else b""


@pytest.mark.parametrize("tail", ["", "?" + "x" * 7000, "/" + "x/" * 3500], ids=["short", "query", "path"])
def test_length_is_no_way_around(place: Path, tail: str) -> None:
    """lighttpd as well matches whatever its limit for the head lets in."""
    authorizer = Responder(place / "a.sock")
    authorizer.output = b"Status: 403\r\n\r\nno"
    text = f'server.document-root = "{place}"\n' + RULES.replace("SOCKET", f"{place}/a.sock")
    lighttpd_text = text.split('$HTTP["host"] == "authorizer"')[0]
    modules = 'server.modules = ("mod_access", "mod_rewrite", "mod_redirect", "mod_fastcgi")\n'
    expected = {"rewrite": (200, b"public"), "redirect": (301, b""), "condition": (403, b"")}
    try:
        with Box(place / "box") as box, Lighttpd(place / "lighttpd") as lighttpd:
            box.serve(modules + text)
            lighttpd.serve(modules + lighttpd_text)
            for host, outcome in expected.items():
                for server in (lighttpd, box):
                    assert _ask(server, host, "/private/file.txt" + tail) == outcome, host
            assert _ask(box, "authorizer", "/private/file.txt" + tail) == (403, b"")
    finally:
        authorizer.close()


def test_a_rewrite_that_doubles_its_target_ends(place: Path) -> None:
    """A hundred times twice as long would be more memory than there is."""
    with Box(place / "box") as box:
        box.serve(
            f'server.document-root = "{place}"\nserver.modules = ("mod_rewrite")\n'
            'url.rewrite-repeat = ("^/(.*)$" => "/index?page=$1${qsa}")\n'
        )
        assert box.fetch("/a?b").status == 414
        box.wait_log(f"the request target is longer than {LONGEST} octets")


def test_the_longest_target() -> None:
    assert len(parse_target(b"/".ljust(LONGEST, b"x")).path) == LONGEST
    with pytest.raises(BadTarget):
        parse_target(b"/".ljust(LONGEST + 1, b"x"))
