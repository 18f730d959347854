"""Time that passes only when nothing is left to do, and what a loop is for those who ask it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timer:
    """One pending call."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Clock:
    """Calls in the order of their time; equal times in the order in which they were asked for."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def at(self, time: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._heap, (max(time, self.time), next(self._numbers), timer))
        return timer

    def run(self, until: float) -> None:
        """Do everything that is due until then."""
        while self._heap and self._heap[0][0] <= until:
            self.time, _, timer = heapq.heappop(self._heap)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self.time = until


class Loop:
    """The loop of one process: when that has died, nothing of it happens any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.alive = True

    def now(self) -> float:
        return self._clock.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self._clock.at(self._clock.time + seconds, lambda: callback() if self.alive else None)

    def watch(self, *_: object) -> None: ...

    def forget(self, *_: object) -> None: ...


class Line:
    """One direction of a channel: in order, each message after a delay."""

    def __init__(self, clock: Clock, delay: Callable[[], float]) -> None:
        self._clock = clock
        self._delay = delay
        self._pending: list[Timer] = []
        self._last = 0.0

    def send(self, deliver: Callable[[], None]) -> None:
        self._last = max(self._last, self._clock.time + self._delay())
        timer = self._clock.at(self._last, deliver)
        self._pending = [other for other in self._pending if other.callback is not None]
        self._pending.append(timer)

    def drain(self) -> None:
        """The sender has died: what it had sent is read now."""
        for timer in self._pending:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def cut(self) -> None:
        """The reader has died."""
        for timer in self._pending:
            timer.cancel()
