"""Processes and their slots: who can take a request now, and who is busy with one.

A slot is the right to have one connection to a process. There are never more connections than slots, because
an idle connection holds a child of the process for good. A process without a known capacity has no slots to
keep: each request gets one that ends with it.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from appliance.pool.tally import Counts


class State(enum.Enum):
    """What a slot is doing."""

    FREE = "free"  # no connection
    KEPT = "kept"  # an idle connection is open
    BUSY = "busy"  # it has a request
    SUSPECT = "suspect"  # no connection of ours, but the application may still be busy with something old
    ABANDONED = "abandoned"  # its client has gone, the application works on

    def __repr__(self) -> str:
        return self.value


class Slot:
    """The right to one connection. `connection` is the caller's: set while one is open, None otherwise."""

    __slots__ = ("connection", "process", "state")

    def __init__(self, process: Process, state: State) -> None:
        self.process = process
        self.state = state
        self.connection: Any = None

    def __repr__(self) -> str:
        return f"<slot of {self.process.name}: {self.state.value}>"


class Returned(NamedTuple):
    """Slots of one process that a leaving front gives back, and the connections to close for it."""

    process: str
    slots: int
    connections: list[Any]


class Process:
    """One application process, or a remote host, as the front sees it."""

    __slots__ = (
        "_before",
        "address",
        "capped",
        "counts",
        "disabled_until",
        "free",
        "gone",
        "in_use",
        "keeps",
        "kept",
        "last_used",
        "name",
        "pid",
        "reported",
        "retiring",
        "suspect",
    )

    def __init__(
        self, name: str, address: str, slots: int | None, suspect: int, now: float, pid: int = 0
    ) -> None:
        self.name = name
        self.address = address  # "unix:/path" or "host:port"
        self.capped = slots is not None
        count = slots or 0
        suspect = min(suspect, count)
        self.free = [Slot(self, State.FREE) for _ in range(count - suspect)]
        self.keeps = 1 << 30  # idle connections that may stay open
        self.kept: list[Slot] = []  # most recently used last
        self.suspect = [Slot(self, State.SUSPECT) for _ in range(suspect)]
        self.in_use: set[Slot] = set()  # busy or abandoned
        self.pid = pid  # 0 if it is not ours
        self.counts = Counts()
        self._before = 0
        self.retiring = False
        self.gone = False
        self.disabled_until = float("-inf")
        self.last_used = now
        self.reported = float("-inf")  # when it was last named as idle

    def join(self, counts: Counts) -> None:
        """Count with these from now on; they may have counted for others before."""
        self.counts = counts
        self._before = counts.connected

    @property
    def requests(self) -> int:
        """Requests it was given."""
        return self.counts.connected - self._before

    @property
    def load(self) -> int:
        """Requests it is working on, as far as we know."""
        return len(self.in_use)

    @property
    def size(self) -> int:
        """Slots we hold of it."""
        return len(self.free) + len(self.kept) + len(self.suspect) + len(self.in_use)

    def rank(self) -> tuple[bool, int, bool, float] | None:
        """How good it would be to give it the next request, smallest is best; None if it has no room.

        A suspect slot is the last resort. Then load decides, then an open connection, then who worked last:
        the others may fall idle and be ended.
        """
        if self.kept:
            return (False, len(self.in_use), False, -self.last_used)
        if self.free or not self.capped:
            return (False, len(self.in_use), True, -self.last_used)
        return (True, len(self.in_use), True, -self.last_used) if self.suspect else None

    def take(self) -> Slot:
        """Its best slot, now busy. Only where `rank` is not None."""
        if self.kept:
            slot = self.kept.pop()
        elif self.free:
            slot = self.free.pop()
        elif self.capped:
            slot = self.suspect.pop()
        else:
            slot = Slot(self, State.BUSY)
        slot.state = State.BUSY
        self.in_use.add(slot)
        self.counts.connected += 1
        return slot

    def put(self, slot: Slot, state: State) -> None:
        """Its request is over: FREE, KEPT or SUSPECT from now on. An uncapped process has no other slots than
        those with a connection.
        """
        self.in_use.discard(slot)
        if state is State.KEPT:
            slot.state = state
            self.kept.append(slot)
        elif not self.capped:
            slot.state = State.FREE
        else:
            slot.state = state
            (self.suspect if state is State.SUSPECT else self.free).append(slot)

    def strip(self, spare: int = 0) -> Returned:
        """Take away slots without a request until `spare` are left; none of those keeps its connection."""
        connections = [slot.connection for slot in self.kept]
        for slot in self.kept:
            slot.connection = None
            slot.state = State.FREE
        if self.capped:
            self.free += self.kept
        self.kept.clear()
        before = self.size
        for idle in (self.suspect, self.free):
            surplus = min(max(0, self.size - spare), len(idle))
            del idle[len(idle) - surplus :]
        return Returned(self.name, before - self.size, connections)
