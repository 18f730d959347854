"""Backends of a test, which have ended when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.hosts.backend import Backend

Start = Callable[..., Backend]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a `Backend` with these arguments."""
    started: list[Backend] = []

    def begin(*words: object, **options: object) -> Backend:
        started.append(Backend(*words, **options))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for backend in started:
        backend.stop()
