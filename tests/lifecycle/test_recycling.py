"""max-requests, max-memory, max-age, and PHP's own recycling: nothing is lost, and nothing runs twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.box import Box
from tests.lifecycle.load import Posts, check_exactly_once
from tests.lifecycle.sites import serve_php, serve_scripted
from tests.waiting import until


@pytest.mark.holds("max-requests")
def test_max_requests_is_exact_under_full_load(box: Box, place: Path) -> None:
    ledger = serve_php(box, place, 0, 0, '"slots" => 1, "max-procs" => 1, "max-requests" => 50')
    counts = check_exactly_once(Posts(box.address, "/note.php", 8, 800).wait(), ledger)
    assert sum(counts.values()) == 800
    assert sorted(counts.values())[2:] == [50] * (len(counts) - 2), "none had one more, none one less"


def test_max_requests_of_several_processes_with_children(box: Box, place: Path) -> None:
    ledger = serve_php(box, place, 2, 0, '"max-procs" => 2, "max-requests" => 50')
    counts = check_exactly_once(Posts(box.address, "/note.php", 8, 1000).wait(), ledger)
    assert sum(counts.values()) == 1000
    assert len(counts) >= 20, "two children share a process and its fifty requests"
    assert max(counts.values()) <= 50
    until(lambda: 2 <= len(box.application_pids()) <= 3, 10, "not the number it should be", box.log)


@pytest.mark.parametrize(("requests", "total"), [(50, 800), (10, 2000)])
def test_phps_own_recycling(box: Box, place: Path, requests: int, total: int) -> None:
    ledger = serve_php(box, place, 2, requests, '"max-procs" => 2')
    counts = check_exactly_once(Posts(box.address, "/note.php", 8, total).wait(), ledger)
    assert max(counts.values()) <= requests


@pytest.mark.slow
def test_phps_own_recycling_for_long(box: Box, place: Path) -> None:
    ledger = serve_php(box, place, 2, 10, '"max-procs" => 2')
    check_exactly_once(Posts(box.address, "/note.php", 8, 20_000).wait(1200), ledger)


@pytest.mark.holds("max-memory")
def test_a_process_with_too_much_memory_is_replaced(box: Box, place: Path) -> None:
    serve_scripted(box, place, '"max-memory" => 60')
    assert box.get("/app?grow=80").status == 200
    [old] = box.application_pids()
    box.wait_log("MiB of memory, max-memory is 60", 20)
    until(lambda: box.application_pids() not in ([], [old]), 20, "it stays", box.log)
    until(lambda: len(box.application_pids()) == 1, 20, "the old one does not end", box.log)
    assert box.get("/app").status == 200


@pytest.mark.holds("max-age")
def test_an_old_process_is_replaced(box: Box, place: Path) -> None:
    serve_scripted(box, place, '"max-age" => 2')
    seen = set()

    def other() -> bool:
        seen.add(box.get("/app").body)
        return len(seen) >= 3

    until(other, 30, "no other process", box.log)


def test_a_reload_goes_on_counting(box: Box, place: Path) -> None:
    ledger = serve_php(box, place, 0, 0, '"slots" => 1, "max-procs" => 1, "max-requests" => 120')
    [old] = box.application_pids()
    outcomes = Posts(box.address, "/note.php", 4, 60).wait()
    pool = next(iter(box.pools()))
    until(lambda: box.pools()[pool]["processes"][0]["served"] == 60, 10, "they are not told", box.log)
    box.reload()
    outcomes += Posts(box.address, "/note.php", 4, 300, first=60).wait()
    counts = check_exactly_once(outcomes, ledger)
    assert max(counts.values()) == 120
    assert counts[str(old)] == 120, "sixty before the reload and sixty after it"
