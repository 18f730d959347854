"""Options of the server, its connections and its logs, on the running program."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests import processes
from tests.box import Box
from tests.http_client import Wire, many
from tests.lighttpd import Lighttpd
from tests.waiting import until

LONG_AGO = 1_600_000_000  # a file that was changed just now has no ETag


def root(place: Path) -> Path:
    """A document root with a small and a large file; the large one has no octets on the disk."""
    www = place / "www"
    www.mkdir()
    (www / "a.txt").write_text("0123456789")
    (www / "link.txt").symlink_to("a.txt")
    with (www / "large.bin").open("wb") as file:
        file.truncate(256 << 20)
    os.utime(www / "a.txt", (LONG_AGO, LONG_AGO))
    return www


@pytest.mark.holds("server.tag", "server.name", "server.pid-file", "server.modules")
def test_names_and_numbers(box: Box, place: Path) -> None:
    file = place / "box.pid"
    box.serve(f"""
        server.modules = ( "mod_redirect" )
        server.document-root = "{root(place)}"
        server.pid-file = "{file}"
        server.tag = "one"
        server.name = "named.example"
        $HTTP["url"] =^ "/old" {{ url.redirect = ( "" => "/new" ) }}
        """)
    assert box.get("/a.txt").header("Server") == "one"
    assert box.get("/old").status == 301
    assert int(file.read_text()) == box.supervisor_pid()
    assert box.stop() == 0
    assert not file.exists()


@pytest.mark.holds("server.username", "server.groupname")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_front_is_somebody_else(box: Box, place: Path) -> None:
    box.serve(f"""
        server.document-root = "{root(place)}"
        server.username = "www-data"
        server.groupname = "nogroup"
        """)
    status = Path(f"/proc/{box.front_pid()}/status").read_text()
    assert [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Gid"))] == [
        ["33"] * 4,
        ["65534"] * 4,
    ]
    assert processes.owner(box.supervisor_pid()) == 0
    assert box.get("/a.txt").status == 200


@pytest.mark.holds("server.max-connections")
def test_more_clients_than_may_be_wait_their_turn(box: Box, place: Path) -> None:
    box.serve(f'server.document-root = "{root(place)}"\nserver.max-connections = 3\n')
    with many(box.address, 3) as wires:
        for wire in wires:
            assert wire.get("/a.txt").status == 200
        assert box.status()["front"]["data"]["connections"] <= 3
        with Wire(box.address) as late:
            late.request("GET", "/a.txt")
            # An idle client may be sent away for it; one that gets nothing by and by is the failure.
            assert late.answer().status == 200
        assert box.status()["connection_limit"] == 3


@pytest.mark.holds("server.max-keep-alive-requests")
def test_a_connection_ends_after_so_many_requests(box: Box, place: Path) -> None:
    box.serve(f'server.document-root = "{root(place)}"\nserver.max-keep-alive-requests = 2\n')
    with box.wire() as wire:
        assert wire.get("/a.txt").header("Connection") != "close"
        assert wire.get("/a.txt").header("Connection") == "close"
        assert wire.closed()


@pytest.mark.holds("server.max-write-idle")
def test_a_client_that_takes_nothing_is_sent_away(box: Box, place: Path) -> None:
    box.serve(f'server.document-root = "{root(place)}"\nserver.max-write-idle = 1\n')
    with box.wire(timeout=30) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.request("GET", "/large.bin")
        until(lambda: box.status()["front"]["data"]["connections"] == 0, 30, "it waits for ever", box.log)


@pytest.mark.holds("server.range-requests", "server.follow-symlink", "etag.use-size", "static-file.etags")
def test_files_by_scope(box: Box, place: Path) -> None:
    box.serve(f"""
        server.document-root = "{root(place)}"
        $HTTP["host"] == "whole" {{ server.range-requests = "disable" }}
        $HTTP["host"] == "links" {{ server.follow-symlink = "disable" }}
        $HTTP["host"] == "plain" {{ static-file.etags = "disable" }}
        $HTTP["host"] == "dated" {{ etag.use-size = "disable" etag.use-inode = "disable" }}
        """)

    def ask(host: str, path: str = "/a.txt") -> tuple[int, str | None]:
        answer = box.get(path, {"Host": host, "Range": "bytes=0-3"})
        return answer.status, answer.header("ETag")

    usual = ask("x")[1]
    assert usual is not None and ask("x") == (206, usual)
    assert ask("whole") == (200, usual)
    assert [ask(host, "/link.txt")[0] for host in ("x", "links")] == [206, 403]
    assert ask("plain")[1] is None
    assert ask("dated")[1] not in (None, usual)


@pytest.mark.holds("setenv.add-response-header", "setenv.set-response-header", "url.redirect-code")
def test_fields_of_answers(box: Box, lighttpd: Lighttpd, place: Path) -> None:
    text = f"""
        server.modules = ( "mod_setenv", "mod_redirect" )
        server.document-root = "{root(place)}"
        setenv.add-response-header = ( "X-Added" => "a", "X-Both" => "added", "Set-Cookie" => "a=1",
                                       "X-No" => "" )
        setenv.set-response-header = ( "Content-Type" => "x/y", "ETag" => "", "X-Both" => "set" )
        url.redirect = ( "^/old" => "/new" )
        url.redirect-code = 308
        """
    box.serve(text)
    lighttpd.serve(text)
    names = ("X-Added", "X-Both", "Set-Cookie", "X-No", "Content-Type", "ETag")
    for target, status in (("/a.txt", 200), ("/old", 308), ("/missing", 404)):
        answers = [server.get(target) for server in (box, lighttpd)]
        assert [answer.status for answer in answers] == [status, status]
        ours, theirs = ([answer.header(name) for name in names] for answer in answers)
        assert ours == theirs == ["a", "set", "a=1", None, "x/y", None]
        assert box.get(target).header("X-Both") == "set", "the answers of a kept file do not add up"


@pytest.mark.holds("accesslog.filename", "server.errorlog", "fcgibox.error-log-level")
def test_logs_and_how_much_is_in_them(box: Box, place: Path) -> None:
    def text(level: str) -> str:
        return f"""
            server.modules = ( "mod_accesslog" )
            server.document-root = "{www}"
            server.errorlog = "{place}/{level}.log"
            accesslog.filename = "{place}/access.log"
            $HTTP["host"] == "apart" {{ accesslog.filename = "{place}/apart.log" }}
            fcgibox.error-log-level = "{level}"
            """

    www = root(place)
    box.serve(text("info"))
    assert box.get("/a.txt?one").status == 200
    assert box.get("/a.txt?two", {"Host": "apart", "User-Agent": "u"}).status == 200
    until(lambda: "two" in (place / "apart.log").read_text(), details=box.log)
    until(
        lambda: '"GET /a.txt?one HTTP/1.1" 200 10 "-"' in (place / "access.log").read_text(), details=box.log
    )
    assert "two" not in (place / "access.log").read_text()
    box.configure(text("error"))
    box.signal(signal.SIGHUP)
    until(lambda: (place / "error.log").exists(), details=box.log)
    box.reload()
    assert "[notice]" in (place / "info.log").read_text()
    assert "[notice]" not in (place / "error.log").read_text()
