"""`fcgibox restart` and restart-file: what is new is proved first, and a failure changes nothing."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.load import Load
from tests.lifecycle.load import Posts, check_exactly_once
from tests.lifecycle.sites import serve_php, serve_scripted
from tests.trac_projects import Projects
from tests.waiting import until

BROKEN = f"#!{sys.executable}\nimport sys\nprint('no such table: wiki', file=sys.stderr)\nsys.exit(3)\n"
SILENT = f"#!{sys.executable}\nimport time\ntime.sleep(600)\n"


def test_a_restart_under_load(box: Box, place: Path) -> None:
    ledger = serve_php(box, place, 2, 0, '"max-procs" => 2')
    posts = Posts(box.address, "/note.php", 6, 100_000)
    for _ in range(2):
        before = set(box.application_pids())
        count = len(posts.outcomes)
        until(lambda count=count: len(posts.outcomes) > count + 50, 20)  # type: ignore[misc]
        done = box.control("restart", "php")
        assert done.returncode == 0, done.stderr + box.log()
        assert done.stdout == "restarted php\n"
        until(lambda: len(box.application_pids()) == 2, 10, "the old ones do not end", box.log)
        assert not before & set(box.application_pids())
    check_exactly_once(posts.stop(), ledger)


def test_a_new_program_that_fails_leaves_the_old_one(box: Box, place: Path) -> None:
    program = serve_scripted(box, place)
    [old] = box.application_pids()
    good = program.read_text()
    program.unlink()  # the running one's file is left alone
    program.write_text(BROKEN)
    program.chmod(0o755)
    done = box.control("restart", "app")
    assert done.returncode == 1
    assert "the pool 'app' was not restarted, what is old stays" in done.stderr
    assert "exit status 3" in done.stderr and "no such table: wiki" in done.stderr
    assert box.application_pids() == [old]
    assert box.get("/app").body == str(old).encode()
    assert box.pools()["app"]["state"] == "running"
    program.write_text(good)
    assert box.control("restart", "app").returncode == 0
    assert box.get("/app").status == 200
    assert box.get("/app").body != str(old).encode()


def test_a_new_program_that_cannot_be_executed(box: Box, place: Path) -> None:
    program = serve_scripted(box, place)
    [old] = box.application_pids()
    program.unlink()
    done = box.control("restart", "app")
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert box.application_pids() == [old]


def test_a_program_that_accepts_nothing_takes_no_place(box: Box, place: Path) -> None:
    program = serve_scripted(box, place)
    [old] = box.application_pids()
    program.unlink()
    program.write_text(SILENT)
    program.chmod(0o755)
    thread = threading.Thread(target=box.control, args=("restart", "app"))
    thread.start()
    until(lambda: len(box.application_pids()) == 2, 10, "no new one", box.log)
    for _ in range(20):
        assert box.get("/app").body == str(old).encode()
    [new] = set(box.application_pids()) - {old}
    os.kill(new, 9)
    thread.join(20)
    assert box.application_pids() == [old]


def test_an_unknown_pool(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    done = box.control("restart", "ap")
    assert done.returncode == 1
    assert "there is no pool 'ap'" in done.stderr and "did you mean" in done.stderr
    assert "the pools are: app" in done.stderr


@pytest.mark.holds("restart-file")
def test_touching_a_file(box: Box, place: Path) -> None:
    file = place / "restart.txt"
    serve_scripted(box, place, f'"restart-file" => "{file}"')
    old = box.application_pids()
    for _ in range(2):
        file.touch()
        os.utime(file, ns=(1, file.stat().st_mtime_ns + 1_000_000_000))
        until(lambda old=old: box.application_pids() not in ([], old), 20, "nothing", box.log)  # type: ignore[misc]
        until(lambda: len(box.application_pids()) == 1, 20, "the old one stays", box.log)
        assert box.application_pids() != old
        old = box.application_pids()
        assert box.get("/app").status == 200
    assert f"{file} has been touched" in box.log()


@pytest.mark.slow
def test_a_template_is_built_anew(box: Box, projects: Projects) -> None:
    box.recipe("trac", "--env", projects.single, "--processes", "2-2")
    assert box.get("/wiki").status == 200
    [pool] = box.pools()
    template, before = box.template_pid(), set(box.application_pids())
    load = Load(box.address, "/wiki", 2)
    done = box.control("restart", pool)
    assert done.returncode == 0, done.stderr + box.log()
    until(lambda: len(box.application_pids()) == 2, 20, "not two", box.log)
    assert box.template_pid() != template
    assert not before & set(box.application_pids())
    count = len(load.outcomes)
    until(lambda: len(load.outcomes) > count + 10, 20)
    assert {outcome.status for outcome in load.stop()} == {200}
