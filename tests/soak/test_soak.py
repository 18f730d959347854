"""The soak in half a minute; `make soak` takes ten."""

from __future__ import annotations

from pathlib import Path

from tests.box import Box
from tests.soak.run import Plan, run


def test_half_a_minute(box: Box, place: Path) -> None:
    # The front is still warming up in so short a time: the bound on its memory is that of the long run there.
    plan = Plan(requests=4000, seconds=30, seed=20, kill_every=2, reload_every=3, memory=8192)
    report = run(plan, box, place)
    print(report.text())
    assert not report.broken, report.text()
