"""mod_status: what the server tells about its applications, and the same question to lighttpd."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import pytest

from tests.box import Box
from tests.http_client import basic
from tests.lighttpd import Lighttpd
from tests.options.test_gateways import SCGI, script
from tests.server import Server
from tests.waiting import until


def text(place: Path, port: int, name: str) -> str:
    """PHP with a name, a host that refuses connections, and SCGI; each server has sockets of its own."""
    return f"""
        server.modules = ( "mod_status", "mod_fastcgi", "mod_scgi" )
        server.document-root = "{place}"
        status.status-url = "/status"
        status.statistics-url = "/statistics"
        fastcgi.server = (
            ".php" => ( "php" => ( "socket" => "{place}/{name}-php.sock", "bin-path" => "/usr/bin/php-cgi",
                "min-procs" => 2, "max-procs" => 2 )),
            "/down" => ( "down" => ( "host" => "127.0.0.1", "port" => {port}, "check-local" => "disable" )) )
        scgi.server = ( ".app" => ( "s" => ( "socket" => "{place}/{name}-scgi.sock",
            "bin-path" => "{script(place, SCGI)}", "max-procs" => 1 )) )
        """


def counters(server: Server) -> dict[str, int]:
    """The statistics, after a look at their form: lines in order."""
    answer = server.get("/statistics")
    assert answer.status == 200 and (answer.header("Content-Type") or "").startswith("text/plain")
    pairs = re.findall(r"^([a-z0-9.-]+): (\d+)\n", answer.text, re.MULTILINE)
    assert "".join(f"{name}: {value}\n" for name, value in pairs) == answer.text
    assert pairs == sorted(pairs, key=lambda pair: (len(pair[0]), pair[0]))
    return {name: int(value) for name, value in pairs}


@pytest.mark.holds("status.statistics-url")
def test_the_names_and_counts_of_lighttpd(box: Box, lighttpd: Lighttpd, place: Path) -> None:
    (place / "a.php").write_text("<?php echo 1;")
    (place / "a.app").touch()
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        found = []
        for server in (box, lighttpd):
            server.serve(text(place, reserved.getsockname()[1], type(server).__name__))
            for target in ("/a.php", "/a.php", "/a.php", "/a.app", "/down"):
                server.get(target)
            found.append(counters(server))
    ours, theirs = found
    old = {name for name in ours if name.startswith(("fastcgi.backend", "fastcgi.active"))}
    assert set(ours) - old == set(theirs)
    assert {name.replace("fastcgi.", "gw.", 1) for name in old} == {
        name for name in theirs if name.startswith("gw.") and "backend.s." not in name
    }
    assert all(ours[name] == ours[name.replace("fastcgi.", "gw.", 1)] for name in old if "active" not in name)
    # What may differ: which process of two was asked, and how often a host that refuses was tried.
    both = {
        name for name in theirs if "php." not in name and "down" not in name and name != "fastcgi.requests"
    }
    assert {name: ours[name] for name in both} == {name: theirs[name] for name in both}
    for counts in found:
        assert sum(counts[f"gw.backend.php.{number}.connected"] for number in (0, 1)) == 3
        assert counts["gw.backend.down.0.died"] >= 1
    assert ours["fastcgi.requests"] == 3 + ours["gw.backend.down.0.connected"]


def deaths(box: Box) -> int:
    """Processes of the pool "php" that have died."""
    counts = counters(box)
    return sum(counts[f"gw.backend.php.{number}.died"] for number in (0, 1))


def test_a_successor_has_the_place_of_the_one_that_died(box: Box, place: Path) -> None:
    (place / "a.php").write_text('<?php usleep(1000 * ($_GET["ms"] ?? 0)); echo getmypid();')
    box.serve(text(place, 9, "box"))
    names = set(counters(box))
    for death in (1, 2):
        until(lambda: len(box.pools()["php"]["processes"]) == 2)
        box.kill_application()
        until(lambda: deaths(box) == death)  # noqa: B023  (it is called here and now)
    assert set(counters(box)) == names
    slow = threading.Thread(target=box.get, args=("/a.php?ms=1500",))
    slow.start()
    until(lambda: counters(box)["gw.backend.php.load"] == 1)
    assert counters(box)["fastcgi.backend.php.load"] == 1 <= counters(box)["gw.active-requests"]
    slow.join()
    until(lambda: counters(box)["gw.active-requests"] == 0)


@pytest.mark.holds("status.status-url")
def test_the_page_and_its_lines(box: Box, place: Path) -> None:
    (place / "a.php").write_text("<?php echo 1;")
    box.serve(text(place, 9, "box"))
    assert box.get("/a.php").text == "1"
    page = box.get("/status").text
    assert "<h2>php</h2>" in page and "<script" not in page
    lines = dict(line.split(": ") for line in box.get("/status?auto").text.splitlines())
    assert list(lines) == [
        "Total Accesses",
        "Total kBytes",
        "Uptime",
        "BusyServers",
        "IdleServers",
        "Scoreboard",
    ]
    assert int(lines["Total Accesses"]) == 3
    assert len(lines["Scoreboard"]) == int(lines["BusyServers"]) + int(lines["IdleServers"])
    assert set(lines["Scoreboard"]) <= set("krRhWC_")
    assert box.get("/status/").status == 404


def test_it_can_have_a_password(box: Box, place: Path) -> None:
    file = place / "users"
    file.write_text("joe:joepw\n")
    box.serve(f"""
        server.modules = ( "mod_status", "mod_auth", "mod_authn_file" )
        server.document-root = "{place}"
        status.status-url = "/status"
        auth.backend = "plain"
        auth.backend.plain.userfile = "{file}"
        auth.require = ( "/status" => ( "method" => "basic", "realm" => "r", "require" => "valid-user" ) )
        """)
    assert box.get("/status").status == 401
    assert box.get("/status", {"Authorization": basic("joe", "joepw")}).status == 200
