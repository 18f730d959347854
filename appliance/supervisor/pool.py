"""How many processes a pool has, and when: the policy, without a process, a socket or a clock of its own.

Events come in with the time, actions go out for the shell (`applications`) to carry out:

    starting ──up──▶ running ──idle, replaced──▶ retiring ──last request over──▶ ending ──▶ (gone)
        └───────────────┴──────── dies ───────────────┴────────────────────────────────────▶ (gone)

A process that is due (its age, its memory, its requests, a restart) is followed by another one before it
retires: the successor is started beside it, one above the maximum, and must prove that it serves. One process
at a time is followed so; a successor that fails costs nothing but the attempt.

A process that dies is replaced at once, and one that was wanted and could not be started is tried again: the
front counts on it. A second that dies young makes the next one wait, twice as long each
time; a third is a crash loop: the pool is `failing`, says why, and a new process must live for a moment
before it is given requests. Processes that died of the same event (a `killall`) count once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from appliance.supervisor.actions import Announce, End, Exit, Gone, Prove, Restarted, Retire, State
from appliance.supervisor.crash_loop import YOUNG, CrashLoop
from appliance.supervisor.roster import Member, Roster

SETTLE = 1.0  # how long a process must live in a failing pool before it is announced
PATIENCE = 5.0  # how long the next succession waits for the last one's old process to end


class Pool(Roster):
    """The policy of one pool. After each event the caller takes the actions, in their order, with `take`."""

    def __init__(
        self,
        name: str,
        minimum: int,
        maximum: int,
        serials: Iterator[int] | None = None,
        max_age: float = 0.0,
    ) -> None:
        """`serials` numbers the processes; shared by pools of one name, so that no name ever comes twice.
        `max_age` is in seconds, 0: none."""
        super().__init__(name, itertools.count() if serials is None else serials)
        self._minimum = minimum
        self._maximum = maximum
        self._crashes = CrashLoop()
        self._wanted = 0
        self._stopped = False
        self._max_age = max_age
        self._due: dict[str, bool] = {}  # who is to be followed, in order; True: needed no longer than that
        self._successor: str | None = None  # it has not proved itself yet
        self._hoped = 0  # wants that found no room beside the successor: its coming would do for them
        self._outlasting: str | None = None  # followed, but it may work until it is spent
        self._leaving: tuple[str, float] | None = None  # followed, retired since then
        self._restarting: list[str] | None = None  # who was there when the restart began
        self.last_exit: Exit | None = None

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
        if known.proving:
            self._actions.append(Prove(process))
        else:
            self._settle(process, known, now)

    def proven(self, process: str, now: float) -> None:
        """It serves."""
        known = self._processes.get(process)
        if known is None or not known.proving or known.state is not State.STARTING:
            return
        known.proving = False
        self._announce(process, known)
        if process == self._successor:
            self._successor = None
            self._hoped = 0
            self._followed(known.replaces, now)
        self._fill(now)

    def unproven(self, process: str, reason: str) -> None:
        """It lives, but does not serve."""
        known = self._processes.get(process)
        if known is not None and known.proving and known.state is State.STARTING:
            known.unproven = reason
            self._end(process, urgent=True)

    def ended(self, process: str, reason: str, stderr: tuple[str, ...], now: float) -> None:
        """It is dead, or could not be started."""
        known = self._processes.pop(process, None)
        if known is None:
            return
        if process == self._outlasting:
            self._outlasting = None
        if self._leaving is not None and self._leaving[0] == process:
            self._leaving = None
        if known.announced:
            self._actions.append(Gone(process, reason, stderr))
        wanted = not self._stopped and (not known.asked_to_end or bool(known.unproven))
        if wanted:
            reason = known.unproven or reason
            self.last_exit = Exit(process, reason, stderr, now)
        if process == self._successor and self._not_followed(known, process, reason, stderr):
            wanted = False
        if wanted:
            self._failed(known, process, reason, stderr, now)
        self._fill(now)

    def idle(self, process: str) -> None:
        """The front has not used it for idle-timeout."""
        running = [
            name
            for name, known in self._processes.items()
            if known.state is State.RUNNING and not known.followed
        ]
        if process not in running and process != self._outlasting:
            return
        if self._outlasting is not None:
            self._retire(self._outlasting)  # it is the one too many, whoever was named
        elif len(running) > self._minimum:
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
            if known.announced:
                self._actions.append(Retire(process))  # until it is dead the front would use it
            self._end(process, urgent=True)
            self._fill(now)

    def recycle(self, process: str, now: float, *, at_once: bool = True) -> None:
        """It is to be followed by another one. Not `at_once`: it may go on working until it is `spent`."""
        known = self._processes.get(process)
        if known is None or known.state is not State.RUNNING or self._stopped:
            return
        if process == self._outlasting:
            if at_once:
                self._leave(process, now)
        else:
            self._due[process] = at_once or self._due.get(process, False)
        self._fill(now)

    def spent(self, process: str, now: float) -> None:
        """It has had its last request, whether another one follows or not."""
        known = self._processes.get(process)
        if known is not None and known.state is State.RUNNING:
            self._leave(process, now)
            self._fill(now)

    def restart(self, now: float) -> None:
        """Follow every process by a new one, or see whether one comes up if there is none; `Restarted` ends
        it. Not to be called again before that."""
        if self._stopped:
            self._actions.append(Restarted("the pool is being stopped", ()))
            return
        self._crashes.try_afresh()
        self._restarting = [name for name, known in self._processes.items() if known.lives]
        if self._outlasting is not None:
            self._leave(self._outlasting, now)
        for name in self._restarting:
            if self._processes[name].state is State.RUNNING:
                self._due[name] = True
        if not self._live:
            self._follow(None, now)
        self._fill(now)

    def stop(self, *, urgent: bool) -> None:
        """End everything, for good. May come again, to be urgent."""
        self._stopped = True
        self._due.clear()
        self._end_restart("the pool is being stopped", ())
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
            elif self._ages(name, known) and now >= known.started + self._max_age:
                self._due[name] = True
        if self._crashes.deaths and now >= self._crashes.recovered_at(self._oldest(now)):
            self._forgive()
        self._fill(now)

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest; None: nothing pends."""
        times = [
            known.started + SETTLE
            for known in self._processes.values()
            if known.up and known.state is State.STARTING and not known.proving
        ]
        if self._stopped:
            return min(times, default=None)
        # What is missing now can only be missing because of the pause.
        if self._missing():
            times.append(self._crashes.delayed_until)
        times += [
            known.started + self._max_age
            for name, known in self._processes.items()
            if self._ages(name, known)
        ]
        if self._may_follow:
            patient_until = self._leaving[1] + PATIENCE if self._leaving else 0.0
            times.append(max(self._crashes.delayed_until, patient_until))
        recovered = self._crashes.recovered_at(self._oldest(float("inf")))
        if self._crashes.deaths and recovered < float("inf"):
            times.append(recovered)
        return min(times, default=None)

    def _forgive(self) -> None:
        """The crash loop is over, though no new process says so: fronts must ask again."""
        self._crashes.forget()
        if self.state == "failing":
            self._tell("running", "")

    @property
    def next_try(self) -> float | None:
        """When something is started again after a pause; None: nothing waits for that."""
        waits = not self._stopped and bool(self._missing() or self._due) and not self._trying
        return self._crashes.delayed_until if waits and self._crashes.delayed_until > float("-inf") else None

    @property
    def _trying(self) -> bool:
        """In a crash loop one process tries for all, and there is one."""
        return self._crashes.is_loop and any(
            known.state is State.STARTING for known in self._processes.values()
        )

    def _ages(self, name: str, known: Member) -> bool:
        return (
            self._max_age > 0
            and known.state is State.RUNNING
            and not known.followed
            and name not in self._due
        )

    def _missing(self) -> int:
        live = self._live
        missing = max(0, min(max(self._minimum - live, 0) + self._wanted, self._maximum - live))
        if not self._crashes.is_loop:
            return missing
        # With nothing alive the front refuses requests and asks for nothing, so it is tried unasked.
        if self.state == "failing" and not live:
            missing = self._maximum
        return 0 if self._trying else min(1, missing)

    def _fill(self, now: float) -> None:
        self._end_restart_if_done()
        if self._stopped or now < self._crashes.delayed_until:
            return
        for _ in range(self._missing()):
            self._begin(Member(State.STARTING, now))
            if self._live > self._minimum:
                self._wanted = max(0, self._wanted - 1)
        room = max(0, self._maximum - self._live)
        if self._successor is not None:
            self._hoped = max(self._hoped, self._wanted - room)
        self._wanted = min(self._wanted, room)
        self._follow_due(now)

    def _settle(self, process: str, known: Member, now: float) -> None:
        if known.proving or (self._crashes.is_loop and now < known.started + SETTLE):
            return
        self._announce(process, known)
        self._follow_due(now)

    def _announce(self, process: str, known: Member) -> None:
        known.state = State.RUNNING
        if self._restarting is not None and process in self._restarting:
            self._due[process] = True  # it was on its way when the restart began
        known.announced = True
        self._actions.append(Announce(process))
        if self.state != "running":
            self._tell("running", "")

    def _failed(self, known: Member, process: str, reason: str, stderr: tuple[str, ...], now: float) -> None:
        if now - known.started >= YOUNG:
            self._forgive()
        else:
            self._crashes.count(known.started, now)
        if self._crashes.is_loop:
            self._wanted = 0  # the front hears that nothing comes
            last = f"; its last words: {stderr[-1]}" if stderr else ""
            self._tell(
                "failing",
                f"{process} ended soon after its start, number {self._crashes.deaths} in a row "
                f"({reason}){last}",
            )
        elif not known.announced and not known.proving and self._live >= self._minimum:
            self._wanted += 1

    # One follows another

    def _follow_due(self, now: float) -> None:
        """Start a successor for the first that is due, unless it is not the time for that."""
        for name in list(self._due):
            known = self._processes.get(name)
            if known is None or known.state is not State.RUNNING:
                del self._due[name]
        self._end_restart_if_done()
        if not self._may_follow:
            return
        if self._outlasting is not None:
            self._leave(self._outlasting, now)  # another one's turn
        if now < self._crashes.delayed_until or (self._leaving and now < self._leaving[1] + PATIENCE):
            return
        self._follow(next(iter(self._due)), now)

    @property
    def _may_follow(self) -> bool:
        """Whether somebody is due, and only time may stand in the way."""
        if not self._due or self._successor is not None or self._stopped or self._trying:
            return False
        # A pool of one: what is due is the successor of the one that is not spent yet.
        return self._outlasting is None or self._live > 1 or any(self._due.values())

    def _follow(self, old: str | None, now: float) -> None:
        self._leaving = None
        if old is not None:
            self._processes[old].followed = True
        self._successor = self._begin(Member(State.STARTING, now, proving=True, replaces=old))

    def _followed(self, old: str | None, now: float) -> None:
        known = None if old is None else self._processes.get(old)
        if old is None or known is None or known.state is not State.RUNNING:
            return
        if self._due.pop(old, True) or (self._due and self._live > 1):
            self._leave(old, now)
        else:
            self._outlasting = old

    def _not_followed(self, known: Member, process: str, reason: str, stderr: tuple[str, ...]) -> bool:
        """The successor is no more; whether that was a restart's and only the restart has failed."""
        self._successor = None
        # A front that counts on it asks no more: what it wanted is still to come.
        self._wanted += self._hoped
        self._hoped = 0
        old = None if known.replaces is None else self._processes.get(known.replaces)
        if old is not None:
            old.followed = False
        if self._restarting is None or process in self._restarting:
            return False
        for name in self._restarting:
            self._due.pop(name, None)
        self._crashes.resume()
        self._end_restart(f"{process} was started and did not come up: {reason}", stderr)
        return True

    def _leave(self, process: str, now: float) -> None:
        self._leaving = process, now
        self._retire(process)

    def _end_restart_if_done(self) -> None:
        # Only what works or comes up has to be followed.
        if self._restarting is not None and self._successor is None:
            left = (self._processes.get(name) for name in self._restarting)
            if not any(known is not None and known.lives for known in left):
                self._end_restart(None, ())

    def _end_restart(self, error: str | None, stderr: tuple[str, ...]) -> None:
        if self._restarting is not None:
            self._restarting = None
            self._actions.append(Restarted(error, stderr))

    def _retire(self, process: str) -> None:
        self._due.pop(process, None)
        if process == self._outlasting:
            self._outlasting = None
        self._processes[process].state = State.RETIRING
        self._actions.append(Retire(process))

    def _end(self, process: str, *, urgent: bool) -> None:
        known = self._processes[process]
        known.state = State.ENDING
        known.asked_to_end = True
        if process == self._outlasting:
            self._outlasting = None
        self._actions.append(End(process, urgent))
