"""The timer wheel: all waits of the front share one timer of the loop.

Sans-I/O. Deadlines are kept in buckets of `RESOLUTION` seconds, so adding, cancelling and expiring one costs
the same however many there are. A wait ends at most one bucket late, never early.
"""

from __future__ import annotations

from collections.abc import Callable

RESOLUTION = 0.1  # seconds


class Timer:
    """One pending wait."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call back; the bucket forgets the entry when its time has come."""
        self.callback = None


class Wheel:
    """Buckets of timers by deadline, in monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, list[Timer]] = {}
        self._position = int(now / RESOLUTION)

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def add(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Call back at the first `advance` whose time is not before `deadline`."""
        timer = Timer(callback)
        bucket = max(int(deadline / RESOLUTION) + 1, self._position + 1)
        self._buckets.setdefault(bucket, []).append(timer)
        return timer

    def advance(self, now: float) -> list[Callable[[], None]]:
        """Everything that is due at `now`, in order of the buckets."""
        position = int(now / RESOLUTION)
        if position <= self._position:
            return []
        # After a long sleep of the machine it is cheaper to look at the buckets than at every position
        # between.
        if position - self._position > len(self._buckets):
            due = sorted(bucket for bucket in self._buckets if bucket <= position)
        else:
            due = [b for b in range(self._position + 1, position + 1) if b in self._buckets]
        self._position = position
        return [
            timer.callback
            for bucket in due
            for timer in self._buckets.pop(bucket)
            if timer.callback is not None
        ]
