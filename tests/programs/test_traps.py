"""What is known to go wrong with programs behind FastCGI, and does not here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.box import ROOT, Box
from tests.faults.load import Load
from tests.lighttpd import Lighttpd
from tests.programs.page import Place
from tests.programs.programs import PROGRAMS, compile_native
from tests.server import reserve_port
from tests.waiting import until

_MODULES = 'server.modules = ( "mod_fastcgi" )\n'


@pytest.fixture
def here(place: Path) -> Place:
    """Directories for programs."""
    return Place(place / "site")


def configured(here: Place, name: str, more: str = "") -> str:
    """The configuration of the page for a program, with more in its host entry."""
    text = here.adapted(PROGRAMS[name].section.configuration)
    return text.replace('"max-procs" =>', f'{more} "max-procs" =>')


def test_silence_of_a_client_is_not_silence_of_the_server(box: Box, here: Place) -> None:
    """libfcgi ends a connection on which nothing comes for two seconds."""
    PROGRAMS["single"].build(here)
    box.serve(configured(here, "single"))
    with box.wire() as wire:
        wire.send(b"POST /hello?echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234")
        assert wire.silent(2.5)
        assert wire.send(b"56789").answer("POST").body == b"0123456789"


def test_addresses_of_web_servers_are_not_inherited(box: Box, here: Place) -> None:
    """Over TCP libfcgi closes the connection of a web server that FCGI_WEB_SERVER_ADDRS does not name."""
    PROGRAMS["single"].build(here)
    port, reservation = reserve_port()
    reservation.close()
    text = configured(here, "single").replace(
        f'"socket" => "{here.sockets}/hello.sock"', f'"host" => "127.0.0.1", "port" => {port}'
    )
    box.environment["FCGI_WEB_SERVER_ADDRS"] = "10.0.0.1"
    box.serve(text)
    assert box.fetch("/hello").status == 200, box.log()
    box.stop()
    refusing = '"bin-environment" => ( "FCGI_WEB_SERVER_ADDRS" => "10.0.0.1" ), "max-procs" =>'
    box.serve(text.replace('"max-procs" =>', refusing))
    assert box.fetch("/hello").status == 502, box.log()
    box.wait_log("FCGI_WEB_SERVER_ADDRS")


@pytest.mark.slow
def test_a_library_found_by_a_relative_path(box: Box, lighttpd: Lighttpd, here: Place) -> None:
    """A program is started in its own directory, as by lighttpd."""
    sources = ROOT / "tests/applications"
    compile_native(here.programs, sources / "single.c", sources / "questions.c", f"-I{sources}", where=".")
    for server in (lighttpd, box):
        server.serve(configured(here, "native"))
        assert server.fetch("/myapp/").body == b"Hello\n", server.log()


@pytest.mark.slow
def test_fcgiwrap_started_by_somebody_else(box: Box, here: Place) -> None:
    """Two processes on one socket, each with one request at a time: the third request waits in the socket."""
    PROGRAMS["cgi"].build(here)
    path = here.sockets / "wrap.sock"
    spawned = box.run("spawn", "-s", path, "-M", "0666", "-F", "2", "--", "/usr/sbin/fcgiwrap", "-f")
    pids = [line.rpartition(" ")[2] for line in spawned.stdout.splitlines()]
    try:
        assert len(pids) == 2, spawned.stderr
        box.serve(
            f'server.document-root = "{here.www}"\n{_MODULES}'
            f'fastcgi.server = ( ".cgi" => (( "socket" => "{path}" )) )\n'
        )
        load = Load(box.address, "/hello.cgi?slow", clients=3, limit=1)
        assert [(outcome.status, outcome.body) for outcome in load.wait()] == [(200, b"Hello\n")] * 3
    finally:
        subprocess.run(["kill", *pids], check=False)


def _served(box: Box, count: int, clients: int) -> list[int]:
    """The statuses of `count` requests, a thousand at a time: a load waits for its end a minute at most."""
    statuses = []
    for _ in range(count // 1000):
        statuses += [
            outcome.status for outcome in Load(box.address, "/a.php", clients, 1000 // clients).wait()
        ]
    return statuses


@pytest.mark.parametrize("count", [1000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_children_that_end_after_ten_requests(box: Box, here: Place, count: int) -> None:
    """PHP_FCGI_MAX_REQUESTS is PHP's business: a child may end at any time between two requests."""
    shutil.copy(ROOT / "tests/applications/questions.php", here.www / "a.php")
    box.serve(
        f'server.document-root = "{here.www}"\n{_MODULES}fastcgi.server = ( ".php" => ((\n'
        f'  "bin-path" => "/usr/bin/php-cgi", "socket" => "{here.sockets}/php", "max-procs" => 2,\n'
        '  "bin-environment" => ( "PHP_FCGI_CHILDREN" => "4", "PHP_FCGI_MAX_REQUESTS" => "10" ) )) )\n'
    )
    statuses = _served(box, count, 8)
    assert (len(statuses), set(statuses)) == (count, {200}), box.log()[-4000:]
    assert len(box.application_pids()) == 2
    until(lambda: box.fetch("/a.php").status == 200)
