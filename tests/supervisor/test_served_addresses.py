"""An address that is served already is used, not spawned: beside a real lighttpd, with php-cgi."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import jail, processes
from tests.box import Box, clean_environment, program
from tests.lighttpd import Lighttpd
from tests.server import Server, reserve_port
from tests.waiting import until

PAGE = '<?php header("Content-Type: text/plain"); echo getmypid();'
Spawn = Callable[..., int]


@pytest.fixture
def spawn(place: Path) -> Iterator[Spawn]:
    """Starts a php-cgi as somebody else would, and ends it."""
    started: list[int] = []

    def start(*where: str | Path) -> int:
        words = [*program(), "spawn", *map(str, where), "-P", str(place / "pid"), "--", jail.PHP]
        environment = {**clean_environment(), "PHP_FCGI_CHILDREN": "0"}
        done = subprocess.run(words, capture_output=True, env=environment, timeout=20)
        assert done.returncode == 0, done
        started.append(int((place / "pid").read_text()))
        return started[-1]

    yield start
    for pid in started:
        end(pid)


def end(pid: int) -> None:
    for member in processes.family(pid):
        os.kill(member, signal.SIGKILL)
    until(lambda: not processes.alive(pid), problem="it survives SIGKILL")


@pytest.fixture
def port() -> Iterator[int]:
    number, reservation = reserve_port()
    with reservation:
        yield number


def configuration(server: Server, host: str, most: int) -> str:
    (server.directory / "www").mkdir(exist_ok=True)
    (server.directory / "www/a.php").write_text(PAGE)
    user = 'server.username = "www-data"\n' if os.geteuid() == 0 else ""
    return (
        f'{user}server.modules = ("mod_fastcgi")\nserver.document-root = "{server.directory}/www"\n'
        f'fastcgi.server = (".php" => (({host}, "bin-path" => "{jail.PHP}", "max-procs" => {most})))\n'
    )


def answered_by(server: Server) -> int:
    answer = server.get("/a.php")
    assert answer.status == 200, server.log()
    return int(answer.body)


def php_of(server: Server) -> set[int]:
    """The PHP that it has started itself."""
    return {
        pid
        for pid in server.descendants()
        if processes.command_line(pid)[:1] == [jail.PHP] and processes.parent(pid) != 1
    }


@pytest.mark.parametrize("kind", ["port", "socket"])
@pytest.mark.parametrize("which", ["box", "lighttpd"])
def test_used_by_both(
    which: str, kind: str, spawn: Spawn, port: int, place: Path, request: pytest.FixtureRequest
) -> None:
    """The first of the numbered addresses is somebody else's: no process is started for it."""
    server: Box | Lighttpd = request.getfixturevalue(which)
    where = ("-a", "127.0.0.1", "-p", str(port)) if kind == "port" else ("-s", place / "php-0", "-M", "0666")
    theirs = spawn(*where)
    host = f'"host" => "127.0.0.1", "port" => {port}' if kind == "port" else f'"socket" => "{place}/php"'
    server.serve(configuration(server, host, 1))
    assert answered_by(server) == theirs
    assert php_of(server) == set()
    server.stop()
    assert processes.alive(theirs), "it is not ours to end"


def test_the_socket_itself(box: Box, spawn: Spawn, place: Path) -> None:
    """spawn-fcgi's socket has no number; a lighttpd starts a process of its own beside it."""
    theirs = spawn("-s", place / "php", "-M", "0666")
    box.serve(configuration(box, f'"socket" => "{place}/php"', 1))
    assert answered_by(box) == theirs and not php_of(box)
    line = box.wait_log("is served already")
    assert f"unix:{place}/php is served already" in line
    box.stop()
    assert (place / "php").is_socket(), "it is not ours to remove"


def test_others_are_started_beside_it(box: Box, spawn: Spawn, place: Path) -> None:
    """max-procs counts it: the rest are ours, on the addresses that follow."""
    theirs = spawn("-s", place / "php-0", "-M", "0666")
    box.serve(configuration(box, f'"socket" => "{place}/php"', 2))
    addresses = {one["address"]: one["pid"] for one in box.pools()["php"]["processes"]}
    assert set(addresses) == {f"unix:{place}/php-0", f"unix:{place}/php-1"}
    assert addresses[f"unix:{place}/php-0"] is None and addresses[f"unix:{place}/php-1"] != theirs


def test_it_goes_away(box: Box, spawn: Spawn, port: int) -> None:
    """Then ours takes its place, at its address, and no request is lost."""
    theirs = spawn("-a", "127.0.0.1", "-p", port)
    box.serve(configuration(box, f'"port" => {port}', 1))
    assert answered_by(box) == theirs
    end(theirs)
    ours = answered_by(box)
    assert ours in processes.family(box.application_pids()[0])
    assert f"the server on 127.0.0.1:{port} is gone" in box.log()
    assert [one["address"] for one in box.pools()["php"]["processes"]] == [f"127.0.0.1:{port}"]


def test_a_socket_that_the_front_may_not_use(box: Box, spawn: Spawn, place: Path) -> None:
    """Named, with the way out, instead of 503 without a reason."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    spawn("-s", place / "php", "-M", "0600")
    box.serve(configuration(box, f'"socket" => "{place}/php"', 1))
    box.wait_log(f"listens on {place}/php, but www-data may not connect to it; `chmod o+w {place}/php`")


def test_our_own_children_are_nobody_else(box: Box, port: int) -> None:
    """php-cgi's children hold its port for a moment after its death: they are not taken for a server."""
    host = f'"port" => {port}, "bin-environment" => ("PHP_FCGI_CHILDREN" => "2")'
    box.serve(configuration(box, host, 1))
    first = box.kill_application()

    def another() -> bool:
        found = box.application_pids()
        return bool(found) and found[0] != first and box.get("/a.php").status == 200

    until(another, 20.0, problem="no new process", details=box.log)
    assert "is served already" not in box.log()
