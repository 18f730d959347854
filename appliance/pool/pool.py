"""One pool of processes: which slot a request gets, who waits, when one more would help, when one is idle.

It decides and remembers; it opens no connection, starts no process and reads no clock (every `now` is the
caller's, in seconds). The rules it protects: a slot is never lost and never given twice, waiting requests are
served in order, and a request that left the queue never runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.pool.queue import Queue, QueueFull, Waiter
from appliance.pool.slots import Process, Returned, Slot, State
from appliance.pool.tally import Tally
from appliance.pool.wear import CountedProcess, OnWorn

if TYPE_CHECKING:
    from appliance.config import PoolDefinition

__all__ = ["Pool", "Process", "QueueFull", "Returned", "Slot", "State", "Waiter"]


class Pool:
    """The processes of one `PoolDefinition`.

    `on_retired(process)` is called when the last request of a retiring process is over,
    `on_released(returned)` for each slot that ends in a leaving front. Both may be called from within
    `release`. `on_worn(process, spent)` is called from within `acquire`, `release` and whatever else takes a
    slot when a process has had nearly all, or all, of its max-requests; after the latter it is to be retired
    at once.
    """

    def __init__(
        self,
        definition: PoolDefinition,
        on_retired: Callable[[str], None],
        on_released: Callable[[Returned], None],
        on_worn: OnWorn = lambda process, spent: None,
    ) -> None:
        self.definition = definition
        self.processes: dict[str, Process] = {}
        self.tally = Tally()
        self._on_retired = on_retired
        self._on_released = on_released
        self._on_worn = on_worn
        self._queue = Queue(definition.queue_length, definition.queue_timeout)
        self._coming = definition.min_procs if definition.command else 0  # processes asked for and not up yet
        self._draining = False
        self._spare = 0  # slots a leaving front still needs for requests that have not asked yet
        self._granting = False

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def load(self) -> int:
        """Requests in the queue and at work."""
        return len(self._queue) + sum(process.load for process in self.processes.values())

    def usable(self, now: float) -> bool:
        """Whether any process takes requests now or is about to come up."""
        return self._coming > 0 or any(
            not process.retiring and process.disabled_until <= now for process in self.processes.values()
        )

    # Requests

    def acquire(self, waiter: Waiter, now: float) -> Slot | None:
        """A slot for a request, or None: it waits, and `waiter.granted` will be called. Raises QueueFull."""
        if not self._queue:
            slot = self._take(now)
            if slot is not None:
                return slot
        self._queue.join(waiter, now)
        return None

    def release(self, slot: Slot, now: float, keep: bool, suspect: bool = False) -> bool:
        """A request is over; the slot goes to the first in the queue at once.

        `keep`: its connection, `slot.connection`, is open and may be asked again. `suspect`: it was closed
        before the application had finished. Returns whether the slot keeps the connection; if not, the caller
        closes it.
        """
        process = slot.process
        if slot not in process.in_use:
            if process.gone:
                return False
            raise ValueError(f"{slot!r} has no request")
        process.last_used = now
        kept = (
            keep
            and len(process.kept) < process.keeps
            and not process.retiring
            # Who leaves keeps it only for the next one in the queue, who must be able to have it now.
            and not (self._draining and (not self._queue or process.disabled_until > now))
        )
        if not kept:
            slot.connection = None
        process.put(slot, State.KEPT if kept else State.SUSPECT if suspect else State.FREE)
        if self._queue:
            self._grant(now)
        if process.retiring:
            self._retired(process)
        elif self._draining:
            self._return(process)
        return kept

    def abandon(self, slot: Slot) -> None:
        """The client has gone, the application works on: it counts until it is released."""
        if slot.state is not State.BUSY:
            raise ValueError(f"{slot!r} has no request to abandon")
        slot.state = State.ABANDONED

    def leave(self, waiter: Waiter) -> bool:
        """A waiting request's client has gone: it will never be granted. False if it did not wait."""
        return self._queue.leave(waiter)

    def connection_lost(self, slot: Slot) -> None:
        """The idle connection of a kept slot was closed."""
        slot.connection = None
        if slot.state is State.KEPT and slot in slot.process.kept:
            slot.process.kept.remove(slot)
            slot.process.put(slot, State.FREE)

    def expire(self, now: float) -> None:
        """About every tenth of a second: end waits that took too long, use processes that rested."""
        while (waiter := self._queue.overdue(now)) is not None:
            waiter.expired()
        self._grant(now)
        self._return_all()

    def dismiss(self) -> list[Waiter]:
        """Nothing will come to serve the queue: those that waited, whom the caller tells."""
        return [self._queue.next() for _ in range(len(self._queue))]

    def _take(self, now: float) -> Slot | None:
        best: Process | None = None
        lowest: tuple[bool, int, bool, float] | None = None
        for process in self.processes.values():
            if process.retiring or process.disabled_until > now:
                continue
            rank = process.rank()
            if rank is not None and (lowest is None or rank < lowest):
                best, lowest = process, rank
        if best is None:
            return None
        best.last_used = now
        return best.take()

    def _grant(self, now: float) -> None:
        """Serve the queue. A waiter that gives its slot back within `granted` is served by the same loop."""
        if self._granting:
            return
        self._granting = True
        try:
            while self._queue:
                slot = self._take(now)
                if slot is None:
                    return
                self._queue.next().granted(slot)
        finally:
            self._granting = False

    # Processes

    def process_up(
        self,
        name: str,
        address: str,
        slots: int | None,
        suspect: int,
        now: float,
        pid: int = 0,
        served: int = 0,
    ) -> None:
        """A process is ready. `slots` of it are ours (None: no cap), `suspect` of them of unknown state; its
        number is 0 if we did not start it; it has had `served` requests from others.
        """
        if name in self.processes:
            raise ValueError(f"process {name} is up already")
        self._coming = max(0, self._coming - 1)
        definition = self.definition
        if definition.max_requests:
            process: Process = CountedProcess(
                name, address, slots, suspect, now, pid, definition.max_requests, self._on_worn
            )
        else:
            process = Process(name, address, slots, suspect, now, pid)
        self.processes[name] = process
        process.join(self.tally.enter(name))
        if not definition.spawned:
            process.keeps = definition.keep_connections
        elif slots is None:
            process.keeps = 0
        if served:
            self.used(name, served)
        self._grant(now)
        self._return_all()

    def lease(self, name: str, slots: int, suspect: int, now: float) -> None:
        """More slots of a process are ours: another front gave them back, `suspect` of them by dying."""
        process = self.processes.get(name)
        if process is None or not process.capped:
            return  # it died while the message was on its way
        process.free += (Slot(process, State.FREE) for _ in range(slots - suspect))
        process.suspect += (Slot(process, State.SUSPECT) for _ in range(suspect))
        self._grant(now)
        self._return_all()

    def used(self, name: str, requests: int) -> None:
        """Another front has given a process so many requests."""
        process = self.processes.get(name)
        if isinstance(process, CountedProcess):
            process.use(requests)

    def untold(self) -> list[tuple[str, int]]:
        """Requests that each process has been given since the last call, where they are counted."""
        counts = []
        for process in self.processes.values():
            if isinstance(process, CountedProcess) and process.untold:
                counts.append((process.name, process.untold))
                process.untold = 0
        return counts

    def fail(self, name: str, now: float) -> None:
        """A process could not be connected to: it gets no request for disable-time."""
        process = self.processes.get(name)
        if process is not None:
            process.disabled_until = now + self.definition.disable_time
            process.counts.disabled += 1

    def rest(self, name: str, until: float) -> None:
        """A process may be dying: it gets no request until then."""
        process = self.processes.get(name)
        if process is not None:
            process.disabled_until = max(process.disabled_until, until)

    def revive(self, name: str, now: float) -> None:
        """A process that was disabled can be reached: it serves again, the waiting first."""
        process = self.processes.get(name)
        if process is not None:
            process.disabled_until = -math.inf
            self._grant(now)

    def process_gone(self, name: str) -> list[Slot]:
        """A process has died. Returns its slots with a request or an open connection, their states unchanged.

        They are outside the pool from now on: releasing them does nothing.
        """
        process = self.processes.pop(name, None)
        if process is None:
            return []
        process.gone = True
        self.tally.leave(name)
        process.counts.died += not process.retiring
        slots = [*process.in_use, *process.kept]
        process.in_use.clear()
        if self.definition.command and not process.retiring:
            # It is started again without being asked.
            self._coming = max(self._coming, self.definition.min_procs - self._active)
        return slots

    def retire(self, name: str) -> list[Slot]:
        """Give a process no more requests. Returns its slots with an idle connection, to be closed."""
        process = self.processes.get(name)
        if process is None:
            return []
        process.retiring = True
        kept = list(process.kept)
        self._retired(process)
        return kept

    def _retired(self, process: Process) -> None:
        if not process.in_use and self.processes.get(process.name) is process:
            process.gone = True
            del self.processes[process.name]
            self.tally.leave(process.name)
            self._on_retired(process.name)

    # Size

    @property
    def _active(self) -> int:
        return sum(not process.retiring for process in self.processes.values())

    def wants(self) -> int:
        """How many more processes would help now, beyond those that are coming, within max-procs.

        With slots: enough for the requests that wait. Without: one, if every process has more than
        max-load-per-proc requests. The answer does not change anything; tell by `asked` what was done with
        it.
        """
        definition = self.definition
        active = self._active
        room = definition.max_procs - active - self._coming
        if not definition.command or self._draining or room <= 0:
            return 0
        waiting = len(self._queue)
        if waiting:
            each = definition.slots or waiting
            needed = -(-waiting // each) - self._coming
        else:
            loads = [
                process.load
                for process in self.processes.values()
                if not process.retiring and not process.capped
            ]
            full = bool(loads) and len(loads) == active and min(loads) > definition.max_load_per_proc
            needed = int(full and not self._coming)
        return max(0, min(needed, room))

    def asked(self, processes: int) -> None:
        """So many processes were asked for and will come up."""
        self._coming += processes

    def not_coming(self) -> None:
        """What was asked for will not come for now: the program fails at start, or the pool is stopped."""
        self._coming = 0

    def idle(self, now: float) -> list[str]:
        """Processes above min-procs that have been unused for idle-timeout, the longest unused first.

        Each is named once per idle-timeout, for the supervisor may think otherwise.
        """
        definition = self.definition
        surplus = self._active - definition.min_procs
        if surplus <= 0 or not definition.command or self._queue:
            return []
        limit = now - definition.idle_timeout
        unused = [
            process
            for process in self.processes.values()
            if not process.retiring and not process.in_use and process.last_used <= limit
        ]
        unused.sort(key=lambda process: process.last_used)
        names = []
        for process in unused[:surplus]:
            if process.reported <= limit:
                process.reported = now
                names.append(process.name)
        return names

    # Leaving

    def drain(self, spare: int = 0) -> list[Returned]:
        """This front leaves: give back the slots without a request at once, the others as they end.

        `spare` slots stay for requests that have been received but have not asked for a slot yet; call again
        with less when there are less. Waiting requests are still served. No connection is kept from now on.
        """
        self._draining = True
        self._spare = spare
        return [
            returned for returned in map(self._shed, list(self.processes.values())) if returned is not None
        ]

    def _shed(self, process: Process) -> Returned | None:
        """What a leaving front gives back of a process now, None if nothing."""
        if self._queue or not (process.capped or process.kept):
            return None
        others = sum(other.size for other in self.processes.values() if other is not process and other.capped)
        returned = process.strip(max(0, self._spare - others))
        return returned if returned.slots or returned.connections else None

    def _return(self, process: Process) -> None:
        returned = self._shed(process)
        if returned is not None:
            self._on_released(returned)

    def _return_all(self) -> None:
        if self._draining:
            for process in list(self.processes.values()):
                self._return(process)
