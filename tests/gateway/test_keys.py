"""Which key takes a request, on a real php-cgi: map-extensions as lighttpd, and our `~REGEX`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import ROOT, Box
from tests.lighttpd import Lighttpd
from tests.waiting import until

SCRIPT = """<?php
foreach (["SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME"] as $name) echo $_SERVER[$name] ?? "-", " ";
"""

# One PHP for all keys: the entry with bin-path starts it, the others join its pool.
PHP = """
server.modules = ( "mod_fastcgi", "mod_scgi" )
server.document-root = "{root}"
index-file.names = ( "index.php5" )
mimetype.assign = ( "" => "text/plain" )
fastcgi.map-extensions = ( ".php4" => ".php", ".app" => "/app" )
fastcgi.server = (
    {ours}
    ".twice" => (( "socket" => "{run}/php.sock" )),
    ".php" => (( "socket" => "{run}/php.sock", "bin-path" => "/usr/bin/php-cgi", "max-procs" => 1,
        "broken-scriptfilename" => "disable" )),
    "/app" => (( "socket" => "{run}/other.sock", "bin-path" => "/usr/bin/php-cgi", "max-procs" => 1,
        "check-local" => "disable", "docroot" => "{root}/app" ))
)
"""
OURS = r"""
    "~\.php[5-7]$" => (( "socket" => "{run}/php.sock" )),
    "~^/(wiki|tickets)(/|$)" => (( "socket" => "{run}/other.sock", "check-local" => "disable",
        "docroot" => "{root}/app" )),
"""

MAPPED = [
    "/a.php",
    "/a.php4",
    "/a.php4/info/more",
    "/a.php4x",
    "/missing.php4",
    "/app/x/y",
    "/app",
    "/x/y.app/z",
    "/x/y.app",
]


def place_scripts(place: Path) -> Path:
    root = place / "www"
    (root / "app").mkdir(parents=True)
    for name in (
        "a.php",
        "a.php4",
        "a.php4x",
        "a.php5",
        "index.php5",
        "a.twice",
        "plain",
        "app/app",
        "app/wiki",
    ):
        (root / name).write_text(SCRIPT)
    return root


@pytest.fixture
def site(box: Box, place: Path) -> Iterator[Box]:
    root = place_scripts(place)
    yield box.serve(PHP.format(root=root, run=place, ours=OURS.format(root=root, run=place)))


@pytest.mark.holds("fastcgi.map-extensions")
def test_map_extensions_as_lighttpd(box: Box, lighttpd: Lighttpd, place: Path) -> None:
    root = place_scripts(place)
    # lighttpd gives the sockets numbers and does not let an entry without a command join.
    text = PHP.replace('".twice" => (( "socket" => "{run}/php.sock" )),', "")
    box.serve(text.format(root=root, run=place / "box0", ours=""))
    lighttpd.serve(text.format(root=root, run=place / "lighttpd", ours=""))
    statuses = []
    for target in MAPPED:
        ours, theirs = box.get(target), lighttpd.get(target)
        assert (target, ours.status) == (target, theirs.status)
        if ours.status == 200:
            assert (target, ours.text) == (target, theirs.text)
        statuses.append(theirs.status)
    assert statuses.count(200) == 6


@pytest.mark.holds("fastcgi.server", "bin-path")
def test_several_keys_share_the_process_of_one_of_them(site: Box) -> None:
    for target in ("/a.php", "/a.twice", "/a.php4", "/a.php5"):
        assert site.get(target).text.startswith(f"{target} - "), target
    assert set(site.pools()) == {"php", "app"}
    assert [len(pool["processes"]) for pool in site.pools().values()] == [1, 1]


def test_lighttpd_lets_no_key_share_a_numbered_socket(lighttpd: Lighttpd, place: Path) -> None:
    lighttpd.serve(PHP.format(root=place_scripts(place), run=place, ours=""))
    assert (lighttpd.get("/a.php").status, lighttpd.get("/a.twice").status) == (200, 503)


def test_a_regular_expression_looks_at_the_path_of_the_file(site: Box) -> None:
    assert site.get("/").text.startswith("/index.php5 - "), "the index file counts"
    assert site.get("/a.php5/info?x=.php5").text.startswith("/a.php5 /info ")
    assert site.get("/plain?x.php5").text == SCRIPT
    assert site.get("/missing.php5").status == 404


@pytest.mark.holds("fastcgi.server")
def test_a_regular_expression_divides_the_path_where_its_match_ends(site: Box) -> None:
    assert site.get("/wiki/Start/Page").text.startswith("/wiki /Start/Page ")
    assert site.get("/wiki").text.startswith("/wiki - ")
    assert site.get("/wiki/").text.startswith("/wiki / ")
    assert site.get("/wikis").status == 404, "a prefix would have taken it"


SCGI = """
server.modules = ( "mod_fastcgi", "mod_scgi" )
server.document-root = "{place}"
fastcgi.balance = "least-connection"
scgi.balance = "round-robin"
scgi.map-extensions = ( ".cgi/echo" => "/echo" )
scgi.server = ( "/echo" => (
    "one" => ( "socket" => "{place}/one.sock", "check-local" => "disable" ),
    "two" => ( "socket" => "{place}/two.sock", "check-local" => "disable" ) ) )
"""


def test_scgi_has_a_balance_and_a_map_of_its_own(box: Box, place: Path) -> None:
    names = ("one", "two")
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.application.applications", str(place / f"{name}.sock"), "scgi"],
            cwd=ROOT,
        )
        for name in names
    ]
    try:
        until(lambda: all((place / f"{name}.sock").is_socket() for name in names), 20, "no application")
        box.serve(SCGI.format(place=place))
        # What a mapped end leads to takes its turns with the key itself.
        statuses = [box.get(target).status for target in ("/echo/echo", "/abcd.cgi/echo") * 2]
        assert statuses == [200] * 4
        pools = box.status()["front"]["data"]["pools"]
        assert [pools[name]["requests"] for name in names] == [2, 2]
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(10)
