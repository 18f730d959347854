"""The queue on real programs: bounded, in order, left by who leaves, served by whatever comes up."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import serve_scripted, wait_for_load, wait_for_queue
from tests.hosts.backend import Backend
from tests.hosts.conftest import Start
from tests.hosts.site import configuration
from tests.http_client import Answer
from tests.waiting import until


def ask(box: Box, target: str, answers: list[Answer]) -> threading.Thread:
    """A request in a thread."""
    thread = threading.Thread(target=lambda: answers.append(box.fetch(target, timeout=60)))
    thread.start()
    return thread


def waiting(box: Box, count: int) -> None:
    """Until so many requests wait."""
    until(lambda: box.status()["front"]["data"]["pools"]["root"]["waiting"] == count, 20, "nobody waits")


@pytest.fixture
def one(box: Box, place: Path, start: Start) -> Backend:
    """A host that does one request at a time; two may wait, for 30 s."""
    host: Backend = start("one")
    entry = f'{host.entry}, "slots" => 1, "queue-length" => 2, "queue-timeout" => 30 )'
    box.serve(configuration(place, [entry]))
    return host


@pytest.mark.holds("queue-length")
def test_in_order_and_no_more_than_may(box: Box, one: Backend) -> None:
    answers: list[Answer] = []
    threads = []
    for number in range(3):
        threads.append(ask(box, f"/{number}?sleep=2", answers))
        if number:
            waiting(box, number)
        else:
            until(lambda: one.paths, 20)
    full = box.get("/full")
    assert full.status == 503 and full.header("Retry-After") == "5"
    box.wait_log("2 requests wait already; the limit is queue-length = 2")
    for thread in threads:
        thread.join(60)
    assert [answer.status for answer in answers] == [200] * 3
    assert one.paths == [f"/{number}?sleep=2" for number in range(3)]


def test_who_leaves_never_runs(box: Box, one: Backend) -> None:
    answers: list[Answer] = []
    first = ask(box, "/first?sleep=3", answers)
    until(lambda: one.paths, 20)
    with box.wire() as wire:
        wire.request("GET", "/gone")
        waiting(box, 1)
        last = ask(box, "/last", answers)
        waiting(box, 2)
    waiting(box, 1)
    for thread in (first, last):
        thread.join(60)
    assert [answer.status for answer in answers] == [200, 200]
    assert one.paths == ["/first?sleep=3", "/last"]


@pytest.mark.holds("queue-timeout")
def test_no_longer_than_may(box: Box, place: Path, start: Start) -> None:
    host: Backend = start("one")
    box.serve(configuration(place, [f'{host.entry}, "slots" => 1, "queue-timeout" => 1 )']))
    answers: list[Answer] = []
    first = ask(box, "/first?sleep=4", answers)
    until(lambda: host.paths, 20)
    late = box.get("/late")
    assert late.status == 503 and late.header("Retry-After") == "5"
    box.wait_log("no process was free within 1 s (queue-timeout)")
    first.join(60)
    assert answers[0].status == 200 and host.paths == ["/first?sleep=4"]


@pytest.mark.slow
def test_a_new_process_takes_from_the_queue_at_once(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    path = box.directory / "box.conf"
    path.write_text(path.read_text().replace('"max-procs" => 1', '"max-procs" => 3'))
    box.reload()
    answers: list[Answer] = []
    threads = [ask(box, "/app?sleep=3", answers) for _ in range(3)]
    wait_for_load(box, 3)
    for thread in threads:
        thread.join(60)
    assert len({answer.body for answer in answers}) == 3, "each in a process of its own"


def test_a_restart_is_waited_out(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    answers: list[Answer] = []
    busy = ask(box, "/app?sleep=30", [])
    wait_for_load(box, 1)
    threads = [ask(box, f"/app?hello={number}", answers) for number in range(5)]
    wait_for_queue(box, 5)
    [pid] = box.application_pids()
    os.kill(pid, signal.SIGKILL)
    for thread in (busy, *threads):
        thread.join(60)
    assert [answer.status for answer in answers] == [200] * 5
