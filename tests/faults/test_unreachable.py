"""Nobody to connect to: refused, full, its socket gone, its program gone, no process to be had."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import nothing_lost, pool, serve_scripted, wait_for_load
from tests.http_client import Wire
from tests.server import reserve_port
from tests.waiting import until

HOST = """
    server.modules = ( "mod_fastcgi" )
    server.document-root = "{place}"
    fastcgi.server = ( "/app" => (( {host}, "check-local" => "disable", "disable-time" => 1 {extra} )) )
"""


def serve_host(box: Box, place: Path, host: str, extra: str = "") -> Box:
    return box.serve(HOST.format(place=place, host=host, extra=extra))


def test_refuses_connections(box: Box, place: Path) -> None:
    port, reservation = reserve_port()
    with reservation:
        serve_host(box, place, f'"host" => "127.0.0.1", "port" => {port}')
        answer = box.get("/app")
        assert answer.status == 503
        assert answer.header("Retry-After")
        line = box.wait_log("GET /app answered with 503")
        assert f"127.0.0.1:{port} is down: Connection refused, errno 111" in line
        # It comes up: served as soon as disable-time is over.
        served = socket.socket()
        served.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        served.bind(("127.0.0.1", port))
        served.listen()
        with served:
            until(lambda: _accepted(box, served), 20, "nobody asks again", box.log)


def _accepted(box: Box, listener: socket.socket) -> bool:
    """Whether a request reaches the listener now."""
    listener.settimeout(0.2)
    with box.wire(20) as wire:
        wire.request("GET", "/app")
        try:
            listener.accept()[0].close()
        except TimeoutError:
            return False
        return wire.answer().status == 502


def test_full_backlog(box: Box, place: Path) -> None:
    """A unix socket without room answers EAGAIN, and nothing tells when there is room: it is asked again."""
    path = place / "full.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as filler:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(0)
        filler.connect(str(path))
        serve_host(box, place, f'"socket" => "{path}"', ', "connect-timeout" => 1')
        assert box.fetch("/app", timeout=20).status == 503
        box.wait_log("GET /app goes out again: no progress while connecting")
        box.wait_log(f"GET /app answered with 503: unix:{path} is down")
        box.wait_log("its backlog stayed full for connect-timeout = 1 s")
        with box.wire(20) as wire:
            until(lambda: _is_asked(box, wire), 20, "it stays disabled", box.log)
            listener.accept()[0].close()  # the filler: now there is room
            listener.settimeout(20)
            until(lambda: _answers_one(listener), 20, "nobody asks again", box.log)


def _is_asked(box: Box, wire: Wire) -> bool:
    """Ask; whether an attempt to connect is made (nothing comes back), or it is refused at once."""
    wire.request("GET", "/app")
    if wire.silent(0.3):
        return True
    assert wire.answer().status == 503
    return False


def _answers_one(listener: socket.socket) -> bool:
    connection, _ = listener.accept()
    with connection:
        return bool(connection.recv(65536))


@pytest.mark.parametrize("fault", ["its socket file vanishes", "it closes its listener"])
def test_a_living_process_without_its_socket_is_replaced(box: Box, place: Path, fault: str) -> None:
    serve_scripted(box, place)
    with nothing_lost(box):
        [name] = pool(box)["processes"]
        pid = int(box.get("/app?hello").body)
        if "file" in fault:
            for path in place.glob("app.sock*"):
                path.unlink()
            with box.wire(20) as wire:  # the kept connection is used up by a client that leaves
                wire.request("GET", "/app?sleep=0.2")
                wait_for_load(box, 1)
            wait_for_load(box, 0)
        else:
            assert box.get("/app?deaf&raw=").status == 502
        assert int(box.fetch("/app?hello", timeout=20).body) != pid
        box.wait_log("any more (No such file" if "file" in fault else "any more (Connection refused")
        until(lambda: name not in pool(box)["processes"] and pid not in box.application_pids())
        assert box.status()["pools"][0]["state"] == "running"


@pytest.mark.parametrize("fault", ["missing", pytest.param("not executable", marks=pytest.mark.slow)])
def test_the_program_is_gone_when_it_is_needed_again(box: Box, place: Path, fault: str) -> None:
    serve_scripted(box, place)
    with nothing_lost(box):
        program = place / "scripted.py"
        aside = place / "aside.py"
        if fault == "missing":
            program.rename(aside)
        else:
            program.chmod(0o644)
        box.kill_application()
        line = box.wait_log("it could not be started: executing")
        assert ("No such file" if fault == "missing" else "Permission denied") in line
        until(lambda: box.pools()["app"]["state"] == "failing", 20, "not failing", box.log)
        answer = box.fetch("/app?hello", timeout=20)
        assert answer.status == 503
        assert "could not be started" in box.log() and "the next try is in" in box.log()
        if fault == "missing":
            shutil.copy(aside, program)
        program.chmod(0o755)
        until(lambda: box.fetch("/app?hello", timeout=20).status == 200, 40, "no recovery", box.log)


def test_a_program_that_is_missing_at_the_start(box: Box, place: Path) -> None:
    box.serve(
        HOST.format(place=place, host=f'"bin-path" => "{place}/nothing", "socket" => "{place}/s"', extra=""),
        wait=False,
    )
    assert box.wait_end(20) != 0
    assert f"{place}/nothing does not exist; install it, or correct bin-path" in box.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who has no other process")
def test_fork_fails(box: Box, place: Path) -> None:
    """The user's limit of processes is reached: requests fail with a reason, and it recovers by itself."""
    user = 61234
    os.chown(box.directory, user, user)
    os.chown(place, user, user)
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    box.program = ["prlimit", "--nproc=64:64", *become, *box.program]
    serve_scripted(box, place)
    with nothing_lost(box):
        # The same user has something else running, too much of it: threads count as processes.
        threads = (
            "from threading import Thread\nfrom time import sleep\n"
            "for _ in range(70): Thread(target=sleep, args=(60,)).start()"
        )
        greedy = subprocess.Popen([*become, "/usr/bin/python3", "-c", threads])
        until(lambda: len(os.listdir(f"/proc/{greedy.pid}/task")) > 64)
        box.kill_application()
        box.wait_log("it could not be started: starting the process: Resource temporarily unavailable")
        assert "ulimit -u, TasksMax of the unit" in box.log()
        until(lambda: box.fetch("/app?hello", timeout=20).status == 503, 20, "not refused", box.log)
        box.wait_log("GET /app?hello answered with 503")
        assert box.get("/small.txt").status == 200, "files are served meanwhile"
        greedy.kill()
        greedy.wait()
        until(lambda: box.fetch("/app?hello", timeout=20).status == 200, 40, "no recovery", box.log)
