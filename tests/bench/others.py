"""What everybody else feels while something heavy goes on: wrong passwords, a reload, many projects."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests import processes, trac_projects
from tests.bench.load import burst
from tests.bench.peer import Peer
from tests.box import Box
from tests.faults.load import Load
from tests.faults.test_kills import serve_php
from tests.http_client import Wire

WRONG_LOGINS = 20
PROJECTS = 20


def login_storm(place: Path) -> tuple[float, float]:
    """p99 in ms of a static file: in peace, and while 20 wrong bcrypt logins are checked."""
    projects = trac_projects.copied(place / "storm")
    with Box(place / "storm-box") as box:
        file = projects.root / "bcrypt.htpasswd"
        done = box.run("passwd", file, "joe", stdin="joepw\n")
        assert done.returncode == 0, done.stderr
        box.recipe("trac", "--env", projects.single, "--htpasswd", file, "--processes", "1-1")
        target = "/chrome/common/css/trac.css"
        peace = _latencies(box, target, lambda: time.sleep(3.0))

        def storm() -> None:
            def wrong(number: int) -> None:
                assert box.fetch("/login", user=("joe", f"wrong{number}"), timeout=90).status in (
                    401,
                    429,
                    503,
                )

            threads = [threading.Thread(target=wrong, args=(number,)) for number in range(WRONG_LOGINS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(90)

        return _p99(peace), _p99(_latencies(box, target, storm))


def reload_wait(place: Path) -> tuple[float, float]:
    """The longest answer in ms of a 20 ms PHP page with two clients: in peace, and across five reloads."""
    with Box(place / "reload-box") as box:
        serve_php(box, place, processes=1, children=4)
        longest = []
        for reloads in (0, 5):
            load = Load(box.address, "/sleep.php?ms=20", 2)
            time.sleep(1.0)
            for _ in range(reloads):
                old = box.front_pid()
                box.signal(signal.SIGHUP)
                box.wait_front(old)
                time.sleep(0.5)
            outcomes = load.stop()
            assert {outcome.status for outcome in outcomes} == {200}
            longest.append(1000 * max(outcome.seconds for outcome in outcomes))
        return longest[0], longest[1]


def many_projects(place: Path) -> tuple[float, float]:
    """CPU ms of a Trac process for one style sheet: with one project, and with 20 in the process."""
    projects = trac_projects.copied(place / "many")
    costs = []
    for count in (1, PROJECTS):
        parent = place / f"parent{count}"
        parent.mkdir()
        for number in range(count):
            shutil.copytree(projects.project("gamma"), parent / f"p{number}")
        trac_projects.give(parent)
        with Box(place / f"many-box{count}") as box:
            # Not the recipe: there the front answers for style sheets itself.
            user = f'server.username = "{trac_projects.FILE_OWNER}"' if os.geteuid() == 0 else ""
            box.serve(f"""
                server.modules = ( "mod_fastcgi" )
                server.document-root = "{parent}"
                {user}
                fastcgi.server = ( "/" => (( "socket" => "{box.directory}/trac.sock", "max-procs" => 1,
                    "bin-path" => "{" ".join(box.program)} app trac", "check-local" => "disable",
                    "fix-root-scriptname" => "enable", "template" => "enable", "slots" => 1,
                    "bin-environment" => ( "TRAC_ENV_PARENT_DIR" => "{parent}" ) )) )
                """)
            peer = Peer("fcgibox", box)
            for number in range(count):
                assert box.get(f"/p{number}/wiki").status == 200
            [pid] = box.application_pids()
            rounds = []
            for number in range(6):
                target = f"/p{number % count}/chrome/common/css/trac.css"
                before = processes.cpu_seconds(pid)
                answers = burst(peer, target, 2, 1)
                rounds.append(1000 * (processes.cpu_seconds(pid) - before) / answers.rate)
            costs.append(statistics.median(rounds))
    return costs[0], costs[1]


def _latencies(box: Box, target: str, meanwhile: Callable[[], None]) -> list[float]:
    """Milliseconds of each of the requests made one after the other while `meanwhile` runs."""
    over = threading.Event()

    def run() -> None:
        try:
            meanwhile()
        finally:
            over.set()

    thread = threading.Thread(target=run)
    found: list[float] = []
    thread.start()
    while not over.is_set():
        with Wire(box.address, 30.0) as wire:
            wire.get(target)
            for _ in range(500):  # a connection serves a limited number (server.max-keep-alive-requests)
                started = time.perf_counter()
                wire.get(target)
                found.append(1000 * (time.perf_counter() - started))
                time.sleep(0.002)
                if over.is_set():
                    break
    thread.join()
    return found


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
