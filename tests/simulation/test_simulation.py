"""Random schedules; `python -m tests.simulation --seed N` repeats one and shows what happened."""

from __future__ import annotations

import pytest

from tests.simulation.world import simulate


@pytest.mark.parametrize("block", range(4))
def test_schedules(block: int) -> None:
    for seed in range(block * 100, (block + 1) * 100):
        simulate(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_ten_thousand_schedules(block: int) -> None:
    for seed in range(1000 + block * 1000, 1000 + (block + 1) * 1000):
        simulate(seed)
