"""Waiting for a state, with a deadline: tests never sleep for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    probe: Callable[[], Found],
    timeout: float = 10.0,
    problem: str = "it did not happen",
    details: Callable[[], str] | None = None,
    interval: float = 0.02,
) -> Found:
    """Call `probe` until it gives something true, and give that back.

    After `timeout` seconds it is an AssertionError that says `problem`, and `details()` if there is something
    to show.
    """
    deadline = time.monotonic() + timeout
    while not (found := probe()):
        if time.monotonic() > deadline:
            shown = f"; it says:\n{details()}" if details else ""
            raise AssertionError(f"{problem} within {timeout:g} s{shown}")
        time.sleep(interval)
    return found
