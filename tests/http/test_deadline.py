"""Deadlines on the real loop: they move, they end, they do not come early."""

from __future__ import annotations

import time

from appliance.http.deadline import Deadline
from appliance.http.loop import Loop
from tests.http.test_loop import turn_until


def test_a_deadline_moves_away_and_nearer() -> None:
    fired: list[float] = []
    deadline = Deadline(Loop(lambda text: None), lambda: fired.append(time.monotonic()))
    started = time.monotonic()
    deadline.after(0.1)
    deadline.after(0.5)  # further away
    turn_until(lambda: fired)
    assert 0.5 <= fired[0] - started < 2
    started = time.monotonic()
    deadline.after(30)
    deadline.after(0.2)  # nearer than the timer
    turn_until(lambda: len(fired) == 2)
    assert 0.2 <= fired[1] - started < 2


def test_cleared_and_closed_ones_never_fire() -> None:
    fired: list[str] = []
    loop = Loop(lambda text: None)
    cleared = Deadline(loop, lambda: fired.append("cleared"))
    cleared.after(0.1)
    cleared.clear()
    closed = Deadline(loop, lambda: fired.append("closed"))
    closed.after(0.1)
    closed.close()
    Deadline(loop, lambda: fired.append("last")).after(0.4)
    turn_until(lambda: fired)
    assert fired == ["last"]
