"""SIGKILL for each kind of process, under load: who notices, who does not, and what is left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import processes
from tests.box import Box
from tests.faults.load import Load
from tests.trac_projects import Projects
from tests.waiting import until

SLEEP = '<?php usleep((int)($_GET["ms"] ?? 0) * 1000); echo getmypid();'

PHP = """
server.modules = ( "mod_fastcgi" )
server.document-root = "{root}"
fastcgi.server = ( ".php" => (( "socket" => "{run}/php.sock", "bin-path" => "/usr/bin/php-cgi",
    "min-procs" => {processes}, "max-procs" => {processes},
    "bin-environment" => ( "PHP_FCGI_CHILDREN" => "{children}" ) )) )
"""


def serve_php(box: Box, place: Path, processes: int, children: int) -> Box:
    root = place / "www"
    root.mkdir(exist_ok=True)
    (root / "sleep.php").write_text(SLEEP)
    (root / "small.txt").write_text("small")
    (root / "big.bin").write_bytes(os.urandom(1 << 20) * 8)
    return box.serve(PHP.format(root=root, run=place, processes=processes, children=children))


@pytest.fixture
def trac(box: Box, projects: Projects) -> Box:
    return box.recipe("trac", "--env", projects.single, "--processes", "2-2")


def test_kill_an_application_process(trac: Box) -> None:
    load = Load(trac.address, "/wiki", 4)
    until(lambda: len(load.outcomes) > 20)
    victim = trac.kill_application()
    until(
        lambda: len(trac.application_pids()) == 2 and victim not in trac.application_pids(),
        10,
        "no new process",
    )
    count = len(load.outcomes)
    until(lambda: len(load.outcomes) > count + 40)
    outcomes = load.stop()
    failed = [outcome.status for outcome in outcomes if outcome.status != 200]
    assert failed in ([], [502]), "only what it was answering fails"
    assert "SIGKILL" in trac.log()
    if failed:
        assert "answered with 502" in trac.log()


def test_the_request_of_a_killed_process_is_a_logged_502(box: Box, place: Path) -> None:
    serve_php(box, place, processes=1, children=1)
    load = Load(box.address, "/sleep.php?ms=8000", 1, limit=1)
    [parent] = box.application_pids()
    child = until(lambda: processes.children(parent))
    until(lambda: box.status()["front"]["data"]["pools"][next(iter(box.pools()))]["processes"], 5)
    time.sleep(0.3)  # the request must be at work in the child: nothing outside tells when
    for pid in child:
        os.kill(pid, 9)
    [outcome] = load.wait()
    assert outcome.status == 502
    assert b"application failed" in outcome.body
    box.wait_log("GET /sleep.php?ms=8000 answered with 502: waiting for the answer")
    assert box.get("/sleep.php").status == 200, "php-cgi starts another child"


def test_kill_the_front(trac: Box) -> None:
    assert trac.get("/wiki").status == 200
    until(lambda: len(trac.application_pids()) == 2, 20, "not both are up", trac.log)
    before = set(trac.application_pids())
    load = Load(trac.address, "/wiki", 4)
    until(lambda: len(load.outcomes) > 10)
    old = trac.kill_front()
    killed_at = time.monotonic()  # it is dead: what begins from now on is the next one's
    trac.wait_front(old)
    until(lambda: any(o.status == 200 and o.started > killed_at for o in load.outcomes), 5)
    back = next(o for o in load.outcomes if o.status == 200 and o.started > killed_at)
    count = len(load.outcomes)
    until(lambda: len(load.outcomes) > count + 40)
    outcomes = load.stop()
    assert back.started + back.seconds - killed_at < 3, "goal: one second; the rest is for busy machines"
    assert set(trac.application_pids()) == before, "applications survive their front"
    assert all(o.status == 200 for o in outcomes if o.started > back.started + back.seconds)
    assert {o.status for o in outcomes} <= {0, 200}, "requests wait in the listening socket meanwhile"


def unpack_below(box: Box) -> Path:
    """Where the frozen program puts its `_MEI…` directories, and nobody else any."""
    scratch = box.directory / "tmp"
    scratch.mkdir()
    scratch.chmod(0o1777)
    box.environment["TMPDIR"] = str(scratch)
    return scratch


# Installed or from source there is no outer process: then both are the supervisor.
@pytest.mark.parametrize("kill_outer", [False, True], ids=["supervisor", "outer process"])
def test_kill_the_supervisor(
    boxes: Callable[[], Box], projects: Projects, place: Path, kill_outer: bool
) -> None:
    trac, php = boxes(), boxes()
    unpacked = [unpack_below(box) for box in (trac, php)]
    trac.recipe("trac", "--env", projects.single, "--processes", "2-2")
    serve_php(php, place, processes=1, children=4)
    assert trac.get("/wiki").status == php.get("/sleep.php").status == 200
    [parent] = php.application_pids()
    until(lambda: len(processes.children(parent)) == 4)
    for box, scratch in zip((trac, php), unpacked, strict=True):
        os.kill(box.pid if kill_outer else box.supervisor_pid(), 9)
        box.wait_nothing_left(2.0)
        assert not list(scratch.glob("_MEI*"))
        box.wait_end()


def test_kill_the_outer_process_of_an_application(box: Box, projects: Projects) -> None:
    # No supervisor, no guardian: the program sees to it itself.
    scratch, path = unpack_below(box), box.directory / "trac.sock"
    box.start("app", "trac", "--env", str(projects.single), "--socket", str(path), wait=False)
    until(path.is_socket, 20, "no socket", box.log)
    os.kill(box.pid, 9)
    box.wait_nothing_left(2.0)
    assert not list(scratch.glob("_MEI*"))
    box.wait_end()


def test_kill_the_template(trac: Box) -> None:
    assert trac.get("/wiki").status == 200
    until(lambda: len(trac.application_pids()) == 2, 20, "not both are up", trac.log)
    before = set(trac.application_pids())
    load = Load(trac.address, "/wiki", 2)
    old = trac.kill_template()
    until(lambda: trac.template_pid() != old, 20, "no new template", trac.log)
    count = len(load.outcomes)
    until(lambda: len(load.outcomes) > count + 20)
    assert {o.status for o in load.stop()} == {200}
    assert set(trac.application_pids()) == before
    victim = trac.kill_application()
    until(lambda: len(set(trac.application_pids()) - {victim}) == 2, 20, "the new template does not fork")
    assert trac.get("/wiki").status == 200
