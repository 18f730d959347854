"""Checking passwords without holding up anything else.

One bcrypt check takes 0.2 s of a core. Therefore: checks run in worker threads, never on all cores at once;
they wait in one bounded queue, an address after the other, so that one that guesses does not keep the
others out; equal checks that are under way are one check; and a password that was right stays right for
five minutes, unless the file changes (browsers send it with every request). Neither passwords nor their
plain digests are kept: the memory is keyed by an HMAC under a key that this process made for itself.
Failures are not remembered at all.
"""

from __future__ import annotations

import enum
import hmac
import os
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Protocol

from appliance.passwords.formats import matches
from appliance.passwords.store import PasswordFile

LIFETIME = 300.0  # seconds that a right password is remembered
REMEMBERED = 4096  # right passwords
QUEUE_LIMIT = 64  # checks that wait for a thread: about 13 s of bcrypt at cost 12
SOURCE_LIMIT = 32  # of them from one source, so that it alone cannot fill the queue


class Verdict(enum.Enum):
    """What came of a check."""

    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"  # too many checks are waiting
    FAILED = "failed"  # it could not be checked; the reason was reported


class Workers(Protocol):
    """The threads that checks run in."""

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> bool:
        """Run `work()` in a thread, then `done(result, error)` on the loop. False: no room."""


class Check:
    """One check under way, for everybody who asked the same; `cancel` takes one of them out."""

    __slots__ = ("file", "key", "password", "source", "started", "user", "waiters")

    def __init__(self, key: bytes, file: PasswordFile, user: str, password: bytes, source: str) -> None:
        self.key = key
        self.file = file
        self.user = user
        self.password = password
        self.source = source
        self.started = False
        self.waiters: list[Callable[[Verdict], None]] = []


class Checker:
    """The one place of a front where passwords are checked."""

    def __init__(
        self,
        workers: Workers,
        now: Callable[[], float],
        report: Callable[[str], None],
        *,
        threads: int | None = None,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """`now` gives monotonic seconds, `report` takes a line for the error log.

        At most `threads` checks run at once; by default one less than there are cores, so the loop has one.
        """
        self._workers = workers
        self._now = now
        self._report = report
        self._threads = max(1, len(os.sched_getaffinity(0)) - 1) if threads is None else threads
        self._queue_limit = queue_limit
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()  # key → until when; in order of time
        self._under_way: dict[bytes, Check] = {}
        self._queue: OrderedDict[str, deque[Check]] = OrderedDict()  # by source; the first is next
        self._waiting = 0
        self._running = 0

    def known(self, file: PasswordFile, user: str, password: bytes) -> bool:
        """Whether this password was right a short time ago. Costs microseconds."""
        return self._remembers(self._key(file, user, password))

    def check(
        self, file: PasswordFile, user: str, password: bytes, source: str, done: Callable[[Verdict], None]
    ) -> Verdict | Check:
        """Check a password; `source` is whom it shares its turn in the queue with.

        Returns the verdict if there is one at once; else `done` gets it later, unless it is cancelled.
        """
        key = self._key(file, user, password)
        if self._remembers(key):
            return Verdict.RIGHT
        check = self._under_way.get(key)
        if check is None:
            check = Check(key, file, user, password, source)
            if self._running < self._threads:
                if not self._start(check):
                    return Verdict.BUSY
            elif self._waiting < self._queue_limit and len(self._queue.get(source, ())) < SOURCE_LIMIT:
                self._queue.setdefault(source, deque()).append(check)
                self._waiting += 1
            else:
                return Verdict.BUSY
            self._under_way[key] = check
        check.waiters.append(done)
        return check

    def cancel(self, check: Check, done: Callable[[Verdict], None]) -> None:
        """The client behind `done` has gone. A check that nobody waits for any more leaves the queue."""
        if done not in check.waiters:
            return
        check.waiters.remove(done)
        if check.waiters or check.started:
            return
        queue = self._queue[check.source]
        queue.remove(check)
        if not queue:
            del self._queue[check.source]
        del self._under_way[check.key]
        self._waiting -= 1

    def _key(self, file: PasswordFile, user: str, password: bytes) -> bytes:
        name = user.encode("utf-8", "surrogateescape")
        path = os.fsencode(file.path)
        lengths = b"%d %d " % (len(path), len(name))
        return hmac.digest(self._secret, lengths + file.digest + path + name + password, "sha256")

    def _remembers(self, key: bytes) -> bool:
        until = self._right.get(key)
        return until is not None and self._now() < until

    def _start(self, check: Check) -> bool:
        def work() -> bool:
            return _compare(check.file, check.user, check.password)

        def done(result: Any, error: BaseException | None) -> None:
            self._running -= 1
            self._conclude(check, result, error)

        if not self._workers.submit(work, done):
            return False
        check.started = True
        self._running += 1
        return True

    def _conclude(self, check: Check, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self._report(f"{check.file.path}: the password of {check.user!r} could not be checked: {error}")
            verdict = Verdict.FAILED
        else:
            verdict = Verdict.RIGHT if result else Verdict.WRONG
            if result:
                self._remember(check.key)
        self._next()
        self._tell(check, verdict)

    def _next(self) -> None:
        while self._queue and self._running < self._threads:
            source, queue = self._queue.popitem(last=False)
            check = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queue[source] = queue  # behind the others
            if not self._start(check):
                self._tell(check, Verdict.BUSY)

    def _tell(self, check: Check, verdict: Verdict) -> None:
        del self._under_way[check.key]
        waiters, check.waiters = check.waiters, []
        for waiter in waiters:
            waiter(verdict)

    def _remember(self, key: bytes) -> None:
        now = self._now()
        self._right.pop(key, None)
        self._right[key] = now + LIFETIME
        while len(self._right) > REMEMBERED or next(iter(self._right.values())) <= now:
            self._right.popitem(last=False)


def _compare(file: PasswordFile, user: str, password: bytes) -> bool:
    entry = file.entries.get(user)
    if entry is not None:
        return matches(entry, password)
    if file.dummy is not None:
        matches(file.dummy, password)  # the time must not tell whether there is such a user
    return False
