"""Log lines on their way to a file: a bounded queue and one thread that writes, so that no callback waits for
a disk.

When the queue is full lines are dropped and counted, and the count is written as soon as there is room: a
full disk or a stuck pipe slows down nobody. The thread is native (the front is monkey-patched) and sleeps
while nothing comes.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque

from gevent import monkey

LIMIT = 20000  # lines waiting
OCTETS = 8 * 1024 * 1024  # octets waiting: few lines can be long
BATCH = 512  # lines per write

_start_thread = monkey.get_original("_thread", "start_new_thread")
_read = monkey.get_original("os", "read")
_write = monkey.get_original("os", "write")
_allocate_lock = monkey.get_original("_thread", "allocate_lock")


class Writer:
    """Writes lines to one descriptor, in order."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        # Each is written by one thread only, so their difference needs no lock.
        self._came = 0  # octets queued since the start
        self._left = 0  # octets taken from the queue since the start
        self._asleep = False
        self._stopping = False
        self._stopped = _allocate_lock()
        self._stopped.acquire()
        self._bell, self._button = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self._bell, True)
        _start_thread(self._run, ())

    def put(self, line: bytes) -> None:
        """Queue a line, with its line end."""
        if len(self._lines) >= LIMIT or self._came - self._left + len(line) > OCTETS:
            self._dropped += 1
            return
        self._came += len(line)
        self._lines.append(line)
        if self._asleep:
            self._asleep = False
            self._ring()

    def reopen(self, fd: int) -> None:
        """Write to another descriptor from now on; the old one is closed once nobody writes to it."""
        old, self._fd = self._fd, fd
        if old > 2:
            self._close_later = old
            self._lines.append(b"")
            self._ring()

    _close_later = -1

    def stop(self, seconds: float) -> None:
        """Write what is queued and end; waits at most `seconds`."""
        self._stopping = True
        self._ring()
        self._stopped.acquire(timeout=seconds)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it rings already
            _write(self._button, b"!")

    def _run(self) -> None:
        while True:
            self._write_all()
            if self._stopping and not self._lines:
                self._stopped.release()
                return
            self._asleep = True
            if self._lines or self._stopping:
                continue  # a line came between the last look and falling asleep
            _read(self._bell, 4096)

    def _write_all(self) -> None:
        lines = self._lines
        while lines:
            batch = [lines.popleft() for _ in range(min(len(lines), BATCH))]
            data = b"".join(batch)
            self._write_batch(data)
            self._left += len(data)
            if self._close_later >= 0:
                old, self._close_later = self._close_later, -1
                os.close(old)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._write_batch(
                    b"(%d log lines were dropped: the log could not be written fast enough)\n" % dropped
                )

    def _write_batch(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[_write(self._fd, view) :]
            except OSError:
                self._dropped += data.count(b"\n")
                return
