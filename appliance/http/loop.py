"""The only module that touches gevent's internal watcher interface.

`loop.io` and its kin are not public API of gevent: all use of them sits here, `tests/http/test_loop.py` is
their contract, and gevent is pinned. Three rules are enforced rather than hoped for:

* A callback that raises is stopped silently by gevent. So only methods decorated with `@guarded` are
  accepted: the guard turns an exception into `failed(traceback)` of the object, which closes this one
  connection.
* Events can be changed only on a stopped watcher: `Watcher.watch` does it.
* Nothing in a callback may block: `WorkerPool` takes what would.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import traceback
from _queue import SimpleQueue  # the C class: gevent replaces queue.SimpleQueue
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from gevent import get_hub, monkey

from appliance.http.wheel import RESOLUTION, Timer, Wheel

READ = 1
WRITE = 2

_start_thread = monkey.get_original("_thread", "start_new_thread")
_native_id = monkey.get_original("threading", "get_native_id")


class Guarded(Protocol):
    """An object with callbacks: it is told when one of them raised."""

    def failed(self, trace: str) -> None:
        """One of our callbacks raised; close what is ours and log the trace."""


Method = TypeVar("Method", bound=Callable[..., None])


def guarded(method: Method) -> Method:
    """Make a method fit to be a callback of the loop: what it raises goes to `self.failed`."""

    @functools.wraps(method)
    def enter(self: Guarded) -> None:
        try:
            method(self)
        except Exception:
            self.failed(traceback.format_exc())

    enter.__dict__["is_guarded"] = True
    return cast(Method, enter)


class Watcher:
    """Readiness of one descriptor. `watch(0)` pauses it; `close` ends it for good."""

    __slots__ = ("_callback", "_io", "events")

    def __init__(self, io: Any, callback: Callable[[], None]) -> None:
        if not getattr(callback, "is_guarded", False):
            raise TypeError(f"{callback!r} is not @guarded")
        self._io = io
        self._callback: Callable[[], None] | None = callback
        self.events = 0

    def watch(self, events: int) -> None:
        """Be called for READ, WRITE, both, or (0) neither."""
        if events == self.events or self._callback is None:
            return
        io = self._io
        if self.events:
            io.stop()
        self.events = events
        if events:
            io.events = events
            io.start(self._callback)

    def close(self) -> None:
        """Stop and release; must come before the descriptor is closed."""
        if self._callback is not None:
            self._callback = None
            self.events = 0
            self._io.stop()
            self._io.close()


class Loop:
    """gevent's loop as the front uses it, with one wheel of timers and a monotonic clock."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` is told of an exception in a timer or deferred callback; it never blocks."""
        self._loop = get_hub().loop
        self._report = report
        self._wheel = Wheel(time.monotonic())
        self._tick = self._loop.timer(RESOLUTION, RESOLUTION)
        self._ticking = False
        self._asyncs: list[Any] = []

    now = staticmethod(time.monotonic)

    def watcher(self, fd: int, callback: Callable[[], None]) -> Watcher:
        """A watcher for one descriptor, paused until `watch` is called."""
        return Watcher(self._loop.io(fd, READ), callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` after `seconds`, at most a tenth of a second late."""
        timer = self._wheel.add(time.monotonic() + seconds, callback)
        if not self._ticking:
            # An empty wheel does not tick: an idle server lets the machine sleep.
            self._ticking = True
            self._tick.start(self._on_tick)
        return timer

    def soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the next turn of the loop: how long work gives way to others."""
        self._loop.run_callback(self._enter, callback)

    def waker(self, callback: Callable[[], None]) -> Callable[[], None]:
        """A function that any thread may call to have `callback` run on the loop."""
        watcher = self._loop.async_()
        watcher.start(self._enter, callback)
        self._asyncs.append(watcher)
        return watcher.send

    def _on_tick(self) -> None:
        for callback in self._wheel.advance(time.monotonic()):
            self._enter(callback)
        if not self._wheel:
            self._ticking = False
            self._tick.stop()

    def _enter(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            self._report(traceback.format_exc())


class WorkerPool:
    """A bounded pool of native threads for CPU work and disk waits, at a lower priority than the loop."""

    def __init__(self, loop: Loop, threads: int, backlog: int) -> None:
        """At most `threads` pieces of work run and `backlog` wait."""
        self._threads = threads
        self._limit = threads + backlog
        self._started = 0
        self._pending = 0
        self._todo: SimpleQueue[tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]]]
        self._todo = SimpleQueue()
        self._finished: deque[tuple[Callable[[Any, BaseException | None], None], Any, BaseException | None]]
        self._finished = deque()
        self._wake = loop.waker(self._deliver)

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> bool:
        """Run `work()` in a thread, then `done(result, error)` on the loop. False: too much is waiting
        already.
        """
        if self._pending >= self._limit:
            return False
        self._pending += 1
        if self._started < min(self._threads, self._pending):
            self._started += 1
            _start_thread(self._run, ())
        self._todo.put((work, done))
        return True

    def _run(self) -> None:
        # On Linux the priority belongs to the thread: hashing must not take the loop's share of a core.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, _native_id(), 10)
        while True:
            work, done = self._todo.get()
            try:
                self._finished.append((done, work(), None))
            except Exception as error:
                self._finished.append((done, None, error))
            self._wake()

    def _deliver(self) -> None:
        if not self._finished:
            return  # several rings were one
        done, result, error = self._finished.popleft()
        self._pending -= 1
        if self._finished:
            self._wake()  # each in a call of its own: one that raises must not hold up the others
        done(result, error)
