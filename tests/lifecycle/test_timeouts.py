"""request-timeout: the one that is stuck is ended, and nobody else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import processes
from tests.box import Box
from tests.faults.load import Load
from tests.lifecycle.sites import serve_php, serve_scripted
from tests.waiting import until


@pytest.mark.holds("request-timeout")
def test_a_process_that_serves_one_is_ended_and_replaced(box: Box, place: Path) -> None:
    serve_scripted(box, place, '"request-timeout" => 1')
    [old] = box.application_pids()
    started = time.monotonic()
    assert box.fetch("/app?sleep=60").status == 504
    assert time.monotonic() - started < 20
    box.wait_log("app-0: it is ended: GET /app?sleep=60 has taken")
    box.wait_log("GET /app?sleep=60 answered with 504")
    until(lambda: not processes.alive(old), 10, "it lives", box.log)
    assert box.fetch("/app?hello").status == 200


def test_only_the_child_that_serves_it_is_ended(box: Box, place: Path) -> None:
    serve_php(box, place, 3, 0, '"max-procs" => 1, "request-timeout" => 2')
    [parent] = box.application_pids()
    until(lambda: len(processes.children(parent)) == 3)
    before = processes.children(parent)
    others = Load(box.address, "/sleep.php?ms=100", 2)
    assert box.fetch("/sleep.php?ms=60000").status == 504
    box.wait_log("php-0: its child ")
    assert "GET /sleep.php?ms=60000 has taken" in box.log()
    until(lambda: len(before & processes.children(parent)) == 2, 10, "not one of three", box.log)
    count = len(others.outcomes)
    until(lambda: len(others.outcomes) > count + 10, 20)
    assert {outcome.status for outcome in others.stop()} == {200}
    assert box.application_pids() == [parent], "the others' parent is left alone"
    until(lambda: len(processes.children(parent)) == 3, 10, "the child is not replaced", box.log)


def test_a_stuck_request_of_a_client_that_left_is_ended_too(box: Box, place: Path) -> None:
    serve_scripted(box, place, '"request-timeout" => 2')
    [old] = box.application_pids()
    with box.wire() as wire:
        wire.request("GET", "/app?sleep=60")
        until(lambda: box.status()["front"]["data"]["pools"]["app"]["processes"]["app-0"] == 1)
    assert box.fetch("/app?hello").status == 200, "after its end another one serves"
    assert not processes.alive(old)
    box.wait_log("a request whose client has left has taken")


def test_a_host_of_somebody_else_is_only_given_up(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    address = box.status()["pools"][0]["processes"][0]["address"].removeprefix("unix:")
    path = box.directory / "box.conf"
    path.write_text(
        path.read_text()
        + f"""
        fastcgi.server += ( "/other" => (( "socket" => "{address}", "check-local" => "disable",
            "request-timeout" => 1 )) )
        """
    )
    [old] = box.application_pids()
    box.reload()
    assert box.fetch("/other?sleep=4").status == 504
    assert box.application_pids() == [old]
    assert box.fetch("/app?hello").status == 200
