"""Both spawners, and one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spawn.spawner import ORIGINAL, OURS, Spawner


@pytest.fixture
def original(place: Path) -> Iterator[Spawner]:
    """The real spawn-fcgi."""
    spawner = Spawner(ORIGINAL, place / "a")
    yield spawner
    spawner.end()


@pytest.fixture
def ours(place: Path) -> Iterator[Spawner]:
    """`fcgibox spawn`."""
    spawner = Spawner(OURS, place / "b")
    yield spawner
    spawner.end()
