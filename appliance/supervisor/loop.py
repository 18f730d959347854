"""The supervisor's event loop: readiness, timers and signals in one thread, standard library only.

Signals arrive through a wakeup descriptor, so nothing runs in a handler. One exception must not end the
supervisor of a running site: `run` reports what a callback raises, with its traceback, and goes on.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Timer:
    """One pending call."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None


class Loop:
    """Calls back when a descriptor is ready, a time has come, or a signal arrived, until `stop`."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` is told the traceback of a callback that raised."""
        self._selector = selectors.DefaultSelector()
        self._report = report
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = itertools.count()
        self._running = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._on_signal: Callable[[int], None] | None = None

    now = staticmethod(time.monotonic)

    def watch(self, fd: int, events: int, callback: Callable[[], None]) -> None:
        """Call back while `fd` is ready for READ, WRITE or both."""
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, callback)
        else:
            self._selector.register(fd, events, callback)

    def forget(self, fd: int) -> None:
        """Watch it no more; must come before its close."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, `seconds` from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now() + seconds, next(self._serial), timer))
        return timer

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run `callback` again and again until the loop ends."""

        def again() -> None:
            self.call_later(seconds, again)
            callback()

        self.call_later(seconds, again)

    def signals(self, numbers: Iterable[int], callback: Callable[[int], None]) -> None:
        """Call back with the number of each of these signals that arrives, outside of any handler."""
        self._on_signal = callback
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        self.watch(self._wake_reader.fileno(), READ, self._read_signals)
        for number in numbers:
            signal.signal(number, _ignore)

    def _read_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._wake_reader.recv(4096):
                if self._on_signal is not None:
                    # Each by itself: what one raises must not cost the others.
                    self._enter(partial(self._on_signal, number))

    def stop(self) -> None:
        """Let `run` return after the callbacks of this turn."""
        self._running = False

    def run(self) -> None:
        """Serve callbacks until `stop`."""
        self._running = True
        while self._running:
            for key, _ in self._selector.select(self._patience()):
                # An earlier callback of this turn may have forgotten this descriptor.
                if self._selector.get_map().get(key.fd) is key:
                    self._enter(key.data)
            for timer in self._due():
                # An earlier one of this turn may have cancelled it.
                if timer.callback is not None:
                    self._enter(timer.callback)

    def close(self) -> None:
        """Give the signals back to Python's defaults and release the descriptors."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _due(self) -> list[Timer]:
        """The timers of this turn. What they set, be it in the past, waits until descriptors had theirs."""
        now, due = self.now(), []
        while self._timers and self._timers[0][0] <= now:
            due.append(heapq.heappop(self._timers)[2])
        return due

    def _patience(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _enter(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            self._report(traceback.format_exc())


def _ignore(number: int, frame: object) -> None:
    """A handler that does nothing: with one set, the wakeup descriptor is written and system calls return."""
