"""Which of several hosts behind one key of `fastcgi.server` gets the next request (fastcgi.balance).

A host whose processes are all disabled or gone is passed over while another one is usable. When none is, the
choice is made among all of them: the request waits there for the host to come back, instead of failing at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from appliance.pool.pool import Pool


class Balance(Protocol):
    """A way to choose among the pools of a rule, at least one."""

    def choose(self, now: float) -> int:
        """The index of the pool for the next request."""


class LeastConnection:
    """The fewest requests at work and waiting; the first listed among equals ("least-connection", "fair")."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self._pools = pools

    def choose(self, now: float) -> int:
        """The index of the pool for the next request."""
        pools = self._pools
        if len(pools) == 1:
            return 0
        return min(range(len(pools)), key=lambda index: (not pools[index].usable(now), pools[index].load))


class RoundRobin:
    """One after the other ("round-robin")."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self._pools = pools
        self._last = -1

    def choose(self, now: float) -> int:
        """The index of the pool for the next request."""
        count = len(self._pools)
        order = [(self._last + step) % count for step in range(1, count + 1)]
        self._last = next((index for index in order if self._pools[index].usable(now)), order[0])
        return self._last


BALANCES: dict[str, Callable[[Sequence[Pool]], Balance]] = {
    "least-connection": LeastConnection,
    "fair": LeastConnection,
    "round-robin": RoundRobin,
}
"""The values of `fastcgi.balance`."""
