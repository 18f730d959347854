"""How many processes a pool has, and when: the policy, without a process, a socket or a clock of its own.

Events come in with the time, actions go out for the shell (`applications`) to carry out:

    starting ──up──▶ running ──idle, replaced──▶ retiring ──last request over──▶ ending ──▶ (gone)
        └───────────────┴──────── dies ───────────────┴────────────────────────────────────▶ (gone)

A process that dies is replaced at once, and one that was wanted and could not be started is tried again: the
front counts on it. A second that dies young makes the next one wait, twice as long each
time; a third is a crash loop: the pool is `failing`, says why, and a new process must live for a moment
before it is given requests. Processes that died of the same event (a `killall`) count once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

YOUNG = 5.0  # a process that lived shorter counts for the crash loop
SETTLE = 1.0  # how long a process must live in a failing pool before it is announced
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LOOP = 3  # young deaths in a row that make a crash loop


class State(Enum):
    """Of one process; a dead one is forgotten."""

    STARTING = "starting"
    RUNNING = "running"
    RETIRING = "retiring"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process of this name."""

    process: str


@dataclass(frozen=True, slots=True)
class Announce:
    """The front may use it."""

    process: str


@dataclass(frozen=True, slots=True)
class Retire:
    """The front gives it no new request and says when its last one is over."""

    process: str


@dataclass(frozen=True, slots=True)
class End:
    """End it: gently (nothing runs in it), or urgently (it is stuck)."""

    process: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """It has died; the front's requests in it have failed."""

    process: str
    reason: str
    stderr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """The pool's state has changed: "starting", "running", "failing" or "stopped"."""

    state: str
    reason: str


Action = Start | Announce | Retire | End | Gone | Tell


@dataclass(slots=True)
class _Process:
    state: State
    started: float
    announced: bool = False
    up: bool = False
    asked_to_end: bool = False


class Pool:
    """The policy of one pool. After each event the caller takes the actions, in their order, with `take`."""

    def __init__(self, name: str, minimum: int, maximum: int, serials: Iterator[int] | None = None) -> None:
        """`serials` numbers the processes; shared by pools of one name, so that no name ever comes twice."""
        self.name = name
        self.state = "starting"
        self.reason = ""
        self._minimum = minimum
        self._maximum = maximum
        self._serials = itertools.count() if serials is None else serials
        self._processes: dict[str, _Process] = {}
        self._actions: list[Action] = []
        self._young_deaths = 0
        self._counted_at = float("-inf")
        self._delayed_until = float("-inf")
        self._wanted = 0
        self._stopped = False

    def take(self) -> list[Action]:
        """The actions since the last call."""
        actions, self._actions = self._actions, []
        return actions

    def states(self) -> dict[str, State]:
        """All processes that live, oldest first."""
        return {name: process.state for name, process in self._processes.items()}

    def start(self, now: float) -> None:
        """Begin: bring up the minimum."""
        self._fill(now)

    def want(self, count: int, now: float) -> None:
        """Requests wait that `count` more processes could take, beyond those asked for before."""
        self._wanted += count
        self._fill(now)

    def up(self, process: str, now: float) -> None:
        """It accepts connections."""
        known = self._processes.get(process)
        if known is None or known.up or known.state is not State.STARTING:
            return
        known.up = True
        self._settle(process, known, now)

    def ended(self, process: str, reason: str, stderr: tuple[str, ...], now: float) -> None:
        """It is dead, or could not be started."""
        known = self._processes.pop(process, None)
        if known is None:
            return
        if known.announced:
            self._actions.append(Gone(process, reason, stderr))
        if not known.asked_to_end and not self._stopped:
            self._failed(known, process, reason, stderr, now)
        self._fill(now)

    def idle(self, process: str) -> None:
        """The front has not used it for idle-timeout."""
        running = [name for name, known in self._processes.items() if known.state is State.RUNNING]
        if process in running and len(running) > self._minimum:
            self._retire(process)

    def unreachable(self, process: str, now: float) -> None:
        """It accepts no connection any more: what runs in it may finish, and another takes its place."""
        known = self._processes.get(process)
        if known is not None and known.state is State.RUNNING:
            self._retire(process)
            self._fill(now)

    def retired(self, process: str) -> None:
        """Its last request is over."""
        known = self._processes.get(process)
        if known is not None and known.state is State.RETIRING:
            self._end(process, urgent=False)

    def stuck(self, process: str, now: float) -> None:
        """It does not finish: end it and bring up another."""
        known = self._processes.get(process)
        if known is not None and known.state is not State.ENDING:
            self._end(process, urgent=True)
            self._fill(now)

    def stop(self, *, urgent: bool) -> None:
        """End everything, for good. May come again, to be urgent."""
        self._stopped = True
        for name, known in self._processes.items():
            if urgent or known.state is not State.ENDING:
                self._end(name, urgent=urgent)
        if self.state != "stopped":
            self._tell("stopped", "")

    @property
    def over(self) -> bool:
        """Stopped, and nothing is left."""
        return self._stopped and not self._processes

    def tick(self, now: float) -> None:
        """Do what the time has made due."""
        for name, known in list(self._processes.items()):
            if known.up and known.state is State.STARTING:
                self._settle(name, known, now)
        if self._young_deaths and now >= self._recovered_at(now):
            self._forgive()
        self._fill(now)

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest; None: nothing pends."""
        times = [
            known.started + SETTLE
            for known in self._processes.values()
            if known.up and known.state is State.STARTING
        ]
        # What is missing now can only be missing because of the pause.
        if not self._stopped and self._missing():
            times.append(self._delayed_until)
        recovered = self._recovered_at(float("inf"))
        if self._young_deaths and recovered < float("inf"):
            times.append(recovered)
        return min(times, default=None)

    def _recovered_at(self, none: float) -> float:
        """When young deaths are forgotten if no other comes; `none` without a process that works."""
        oldest = min((known.started for known in self._processes.values() if known.announced), default=none)
        return max(oldest, self._counted_at) + 2 * YOUNG

    def _forgive(self) -> None:
        """The crash loop is over, though no new process says so: fronts must ask again."""
        self._young_deaths = 0
        if self.state == "failing":
            self._tell("running", "")

    @property
    def _live(self) -> int:
        return sum(known.state in (State.STARTING, State.RUNNING) for known in self._processes.values())

    def _missing(self) -> int:
        live = self._live
        missing = max(0, min(max(self._minimum - live, 0) + self._wanted, self._maximum - live))
        if self._young_deaths < LOOP:
            return missing
        # In a crash loop one process tries for all. With nothing alive the front refuses requests
        # and asks for nothing, so it is tried unasked.
        trying = any(known.state is State.STARTING for known in self._processes.values())
        if self.state == "failing" and not live:
            missing = self._maximum
        return 0 if trying else min(1, missing)

    def _fill(self, now: float) -> None:
        if self._stopped or now < self._delayed_until:
            return
        for _ in range(self._missing()):
            name = f"{self.name}-{next(self._serials)}"
            self._processes[name] = _Process(State.STARTING, now)
            self._actions.append(Start(name))
            if self._live > self._minimum:
                self._wanted = max(0, self._wanted - 1)
        self._wanted = max(0, min(self._wanted, self._maximum - self._live))

    def _settle(self, process: str, known: _Process, now: float) -> None:
        if self._young_deaths >= LOOP and now < known.started + SETTLE:
            return
        known.state = State.RUNNING
        known.announced = True
        self._actions.append(Announce(process))
        if self.state != "running":
            self._tell("running", "")

    def _failed(
        self, known: _Process, process: str, reason: str, stderr: tuple[str, ...], now: float
    ) -> None:
        if now - known.started >= YOUNG:
            self._forgive()
        elif known.started >= self._counted_at:
            self._young_deaths += 1
            self._counted_at = now
        if self._young_deaths > 1:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self._young_deaths - 2))
            self._delayed_until = now + delay
        if self._young_deaths >= LOOP:
            self._wanted = 0  # the front hears that nothing comes
            last = f"; its last words: {stderr[-1]}" if stderr else ""
            self._tell(
                "failing",
                f"{process} ended soon after its start, number {self._young_deaths} in a row "
                f"({reason}){last}; "
                f"the next try is in {self._delayed_until - now:g} s",
            )
        elif not known.announced and self._live >= self._minimum:
            self._wanted += 1

    def _retire(self, process: str) -> None:
        self._processes[process].state = State.RETIRING
        self._actions.append(Retire(process))

    def _end(self, process: str, *, urgent: bool) -> None:
        known = self._processes[process]
        known.state = State.ENDING
        known.asked_to_end = True
        self._actions.append(End(process, urgent))

    def _tell(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason
        self._actions.append(Tell(state, reason))
