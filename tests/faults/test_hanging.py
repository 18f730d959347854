"""Applications that hang: a limit ends the wait, and a process that may still be busy is asked last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import load, nothing_lost, serve_scripted
from tests.http_client import ProtocolViolation


def test_hangs(box: Box, place: Path) -> None:
    serve_scripted(box, place, ', "read-timeout" => 1', processes=3)
    with nothing_lost(box, processes=3):
        assert box.get("/app?stall=0").status == 504
        box.wait_log("GET /app?stall=0 answered with 504: waiting for the answer: no progress")
        with box.wire(20) as wire, pytest.raises(ProtocolViolation):
            wire.get("/app?stall=300000")
        box.wait_log("GET /app?stall=300000 was cut in the middle of its answer")
        # Two of three processes sleep on: nobody is sent to them while the third is free.
        pids = {box.fetch("/app?hello", timeout=20).body for _ in range(8)}
        assert len(pids) == 1
        assert load(box) == 0


def test_talks_without_end_and_says_nothing(box: Box, place: Path) -> None:
    """Complaints are no answer: read-timeout ends it as well."""
    serve_scripted(box, place, ', "read-timeout" => 1', processes=2)
    with nothing_lost(box, processes=2):
        assert box.get("/app?stderr=100000000000").status == 504
        box.wait_log("is not logged, it was more than 256 KiB")
