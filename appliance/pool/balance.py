"""Which of several hosts behind one key gets the next request (`fastcgi.balance`, `scgi.balance`).

A host whose processes are all disabled or gone is passed over while another one is usable. When none is, the
choice is made among all of them: the request waits there for the host to come back, instead of failing at
once. A host of weight 2 gets twice what one of weight 1 gets, in all four ways.

"hash" and "sticky" are rendezvous hashing: each host has a number for each key, and the highest wins, so that
a host that goes takes nothing from the others but its own keys. lighttpd does the same with a sum whose bits
hardly differ for hosts that differ only in their port: they get very uneven shares. Ours are those of a
cryptographic hash.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

from appliance.pool.pool import Pool

NOBODY: Container[int] = ()


class Asked(Protocol):
    """What a balance looks at in a request."""

    @property
    def authority(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def remote_address(self) -> str: ...


class Candidate(NamedTuple):
    """A host to choose; `address` is its socket or "host:port", and what hashes know it by."""

    pool: Pool
    address: str
    weight: int = 1


class Balance(ABC):
    """A way to choose among the hosts of a rule, at least one."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = tuple(candidates)

    @abstractmethod
    def choose(self, asked: Asked, now: float, tried: Container[int] = NOBODY) -> int:
        """The index of the host for a request; one that it has `tried` already is the last resort."""


class LeastConnection(Balance):
    """The fewest requests at work and waiting; the first listed among equals ("least-connection", "fair")."""

    def choose(self, asked: Asked, now: float, tried: Container[int] = NOBODY) -> int:
        """The index of the host for a request."""
        best, lowest = 0, (True, True, math.inf)
        for index, (pool, _, weight) in enumerate(self._candidates):
            rank = (index in tried, not pool.usable(now), (pool.load + 1) / weight)
            if rank < lowest:
                best, lowest = index, rank
        return best


class RoundRobin(Balance):
    """One after the other ("round-robin"). Those of a higher weight come more often, not several times in a
    row.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        super().__init__(candidates)
        self._due = [0] * len(self._candidates)

    def choose(self, asked: Asked, now: float, tried: Container[int] = NOBODY) -> int:
        """The index of the host for a request."""
        fresh = [index for index in range(len(self._due)) if index not in tried] or range(len(self._due))
        turn = [index for index in fresh if self._candidates[index].pool.usable(now)] or fresh
        for index in turn:
            self._due[index] += self._candidates[index].weight
        chosen = max(turn, key=self._due.__getitem__)  # the first among equals
        self._due[chosen] -= sum(self._candidates[index].weight for index in turn)
        return chosen


class _Rendezvous(Balance):
    """The host with the highest number for the request's key."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        super().__init__(candidates)
        self._hashes = [
            # The address is hashed first: the key of BLAKE2 has at most 64 octets, a path may have more.
            blake2b(key=blake2b(candidate.address.encode()).digest(), digest_size=8)
            for candidate in candidates
        ]

    def choose(self, asked: Asked, now: float, tried: Container[int] = NOBODY) -> int:
        """The index of the host for a request."""
        key = self._key(asked).encode("utf-8", "surrogateescape")
        best, highest = 0, (False, False, -math.inf)
        for index, candidate in enumerate(self._candidates):
            hashed = self._hashes[index].copy()
            hashed.update(key)
            # The number is w / -ln(u) for an even u between 0 and 1: a share that is exactly the weight's.
            even = (int.from_bytes(hashed.digest(), "big") + 1) / (2**64 + 1)
            number = candidate.weight / -math.log(even) if even < 1 else math.inf
            rank = (index not in tried, candidate.pool.usable(now), number)
            if rank > highest:
                best, highest = index, rank
        return best

    @abstractmethod
    def _key(self, asked: Asked) -> str:
        """What equal requests have in common."""


class Hash(_Rendezvous):
    """Always the same host for a URL, whatever its query ("hash")."""

    def _key(self, asked: Asked) -> str:
        return f"{asked.authority} {asked.path}"


class Sticky(_Rendezvous):
    """Always the same host for a client's address ("sticky")."""

    def _key(self, asked: Asked) -> str:
        return asked.remote_address


BALANCES: dict[str, Callable[[Sequence[Candidate]], Balance]] = {
    "least-connection": LeastConnection,
    "fair": LeastConnection,
    "round-robin": RoundRobin,
    "hash": Hash,
    "sticky": Sticky,
}
"""The values of `fastcgi.balance`."""
