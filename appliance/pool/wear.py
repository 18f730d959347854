"""A process that may have so many requests and no more (max-requests), and when its successor is ordered.

Requests are counted as slots are taken, so the limit is exact under any load: no process is given more. Its
successor is ordered when what is left is worth a few seconds at the rate so far, so that it serves before the
old one stops; the old one goes on until it is spent, unless others wait for their turn to be followed.

The count outlives a front: each tells the supervisor about once a second, and when it gives slots back, how
many requests it has given away; the next front begins with the sum, and is told of what an older one still
gives. Between two fronts the limit can therefore be overrun by what both give away before the word is
through, and after a crash of the front by the requests of its last second.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.pool.slots import Process, Slot

LEAD = 3.0  # seconds before the last request in which a successor should come up

OnWorn = Callable[[str, bool], None]
"""Told the name of a process that is to be followed; True: it gets no more requests."""


class CountedProcess(Process):
    """See the module's text."""

    __slots__ = ("_alarm", "_ordered", "_since", "_taken", "_worn", "left", "untold")

    def __init__(
        self,
        name: str,
        address: str,
        slots: int | None,
        suspect: int,
        now: float,
        pid: int,
        left: int,
        worn: OnWorn,
    ) -> None:
        super().__init__(name, address, slots, suspect, now, pid)
        self.left = left  # requests it may still have
        self.untold = 0  # requests that the supervisor does not know of
        self._alarm = left // 2  # how many are left when to look next
        self._ordered = False
        self._taken = 0
        self._since = now
        self._worn = worn

    def take(self) -> Slot:
        """Its best slot, now busy; counted."""
        slot = super().take()
        self._taken += 1
        self.untold += 1
        self.use(1)
        return slot

    def use(self, requests: int) -> None:
        """It has had so many more, from us or from another front."""
        self.left -= requests
        if self.left <= self._alarm and not self.retiring:
            self._look()

    def _look(self) -> None:
        if self.left <= 0:
            self._worn(self.name, True)
            return
        self._alarm = self.left // 2
        age = max(self.last_used - self._since, 0.001)
        if not self._ordered and (self.left <= 1 or self.left <= self._taken / age * LEAD):
            self._ordered = True
            self._worn(self.name, False)
