"""The queue of requests that wait for a slot: first come, first served, limited in length and time.

A request whose client goes away leaves it at once, wherever it stands, and never runs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from appliance.pool.slots import Slot


class Waiter(Protocol):
    """A request that waits. Exactly one of the two methods is called, at most once, and neither may raise."""

    def granted(self, slot: Slot) -> None:
        """Here is your slot."""

    def expired(self) -> None:
        """You have waited for queue-timeout; you are not in the queue any more."""

    def refused(self, reason: str) -> None:
        """You cannot wait, or need not wait any longer: `reason` says why nothing will serve you."""


class QueueFull(Exception):
    """As many requests wait as may (queue-length). Answered with 503 and Retry-After."""


class Queue:
    """`limit` requests may wait, each for `timeout` seconds (0: for as long as it takes)."""

    __slots__ = ("_limit", "_timeout", "_waiting")

    def __init__(self, limit: int, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout
        self._waiting: OrderedDict[Waiter, float] = (
            OrderedDict()
        )  # and since when; leaving takes constant time

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, waiter: Waiter, now: float) -> None:
        """Wait at the end. Raises QueueFull."""
        if waiter in self._waiting:
            raise ValueError("this request waits already")
        if len(self._waiting) >= self._limit:
            raise QueueFull(
                f"{len(self._waiting)} requests wait already; the limit is queue-length = {self._limit}"
            )
        self._waiting[waiter] = now

    def next(self) -> Waiter:
        """Whose turn it is; it waits no more. Raises KeyError if nobody waits."""
        return self._waiting.popitem(last=False)[0]

    def leave(self, waiter: Waiter) -> bool:
        """Forget a request whose client has gone; False if it did not wait."""
        return self._waiting.pop(waiter, None) is not None

    def overdue(self, now: float) -> Waiter | None:
        """The longest waiting request if its time is over; it waits no more."""
        if self._timeout and self._waiting:
            waiter = next(iter(self._waiting))
            if now - self._waiting[waiter] >= self._timeout:
                del self._waiting[waiter]
                return waiter
        return None
