"""All processes below us: who ended, whose group still has members, and making an end of them.

We are the subreaper: descendants whose parent died become our children, so every zombie is ours to collect
and a group is over when the kernel says that nobody is in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import OrderedDict
from collections.abc import Callable, Sequence

from appliance.supervisor.guardian import Guardian
from appliance.supervisor.leftovers import Record
from appliance.supervisor.loop import Loop, Timer
from appliance.supervisor.processes import signal_group, start_time

# (seconds, signal): what a process gets that does not end by itself. The first goes to the process alone, as
# its author expects; what follows goes to its whole group.
Steps = Sequence[tuple[float, int]]

# What a dead process left in its group has no reason to live: it would go on accepting our connections.
_AFTERMATH: Steps = ((0.0, signal.SIGTERM), (1.0, signal.SIGKILL))

# Deaths nobody asked about yet: an application may be dead before its template's word about it is read.
_UNCLAIMED_LIMIT = 256
_UNCLAIMED_TIME = 30.0  # seconds; its template's word comes sooner or not at all


class Children:
    """Processes by pid, each the leader of its own group."""

    def __init__(self, loop: Loop, guardian: Guardian, record: Record) -> None:
        self._loop = loop
        self._guardian = guardian
        self._record = record
        self._leaders: dict[int, Callable[[int], None]] = {}
        self._lingering: set[int] = set()
        self._timers: dict[int, list[Timer]] = {}
        self._unclaimed: OrderedDict[int, tuple[int, float]] = OrderedDict()

    def add(self, pid: int, ended: Callable[[int], None]) -> None:
        """A child of ours, leader of group `pid`; `ended` is called once with its wait status."""
        self._guardian.add(pid)
        self._record.add(pid)
        self._leaders[pid] = ended
        status, died = self._unclaimed.pop(pid, (0, float("-inf")))
        # Of an earlier process with this number, if this one lives.
        if self._loop.now() - died <= _UNCLAIMED_TIME and start_time(pid) is None:
            self._loop.call_later(0, lambda: self._ended(pid, status))

    def end(self, pid: int, steps: Steps) -> None:
        """End it with growing insistence. A further call replaces the steps that are left."""
        self._cancel(pid)
        if pid not in self._leaders and pid not in self._lingering:
            return
        timers = []
        for index, (seconds, number) in enumerate(steps):
            timers.append(self._loop.call_later(seconds, self._step(pid, number, alone=index == 0)))
        self._timers[pid] = timers

    def _step(self, pid: int, number: int, *, alone: bool) -> Callable[[], None]:
        def step() -> None:
            if alone and pid in self._leaders:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            else:
                signal_group(pid, number)
            # A stopped process sees no signal but this and KILL.
            signal_group(pid, signal.SIGCONT)

        return step

    def reap(self) -> None:
        """Collect everything that has ended (on SIGCHLD)."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self._guardian.pid:
                self._guardian.start()
            elif pid in self._leaders:
                self._ended(pid, status)
            else:
                self._unclaimed[pid] = status, self._loop.now()
                self._unclaimed.move_to_end(pid)
                while len(self._unclaimed) > _UNCLAIMED_LIMIT:
                    self._unclaimed.popitem(last=False)
        for group in list(self._lingering):
            self._look_after(group)

    @property
    def empty(self) -> bool:
        """Nobody is left, in no group."""
        return not self._leaders and not self._lingering

    def end_all(self, steps: Steps) -> None:
        """End whatever is left."""
        for pid in [*self._leaders, *self._lingering]:
            self.end(pid, steps)

    def _ended(self, pid: int, status: int) -> None:
        ended = self._leaders.pop(pid, None)
        if ended is None:
            return
        self._lingering.add(pid)
        if self._look_after(pid):
            self.end(pid, _AFTERMATH)
        ended(status)

    def _look_after(self, group: int) -> bool:
        if signal_group(group, 0):
            return True
        self._lingering.discard(group)
        self._cancel(group)
        self._guardian.discard(group)
        self._record.discard(group)
        return False

    def _cancel(self, pid: int) -> None:
        for timer in self._timers.pop(pid, ()):
            timer.cancel()
