"""What a child writes to stdout and stderr, made into lines of the error log.

A program in a loop of complaints must cost neither the disk nor our time: lines are cut, their rate is
bounded and the number left out is said. The last lines stay: they are what explains a death.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

LINE_LIMIT = 2000  # characters
KEPT_LINES = 20
RATE = 50.0  # lines per second
BURST = 200.0

_READ_SIZE = 65536


class Lines:
    """Sans-I/O: bytes in, lines out, bounded in length and rate."""

    def __init__(self, now: float) -> None:
        self.last: deque[str] = deque(maxlen=KEPT_LINES)
        self._rest = b""
        self._tokens = BURST
        self._filled = now
        self._left_out = 0

    def feed(self, data: bytes, now: float) -> list[str]:
        """The lines to log for these bytes."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT:
            complete.append(self._rest)
            self._rest = b""
        return self._admit(complete, now)

    def end(self, now: float) -> list[str]:
        """An unfinished last line, and what was left out."""
        rest, self._rest = self._rest, b""
        lines = self._admit([rest], now) if rest else []
        if self._left_out:
            lines.append(self._confession())
        return lines

    def _admit(self, raw: list[bytes], now: float) -> list[str]:
        self._tokens = min(BURST, self._tokens + (now - self._filled) * RATE)
        self._filled = now
        lines = []
        for one in raw:
            text = one.rstrip(b"\r").decode("utf-8", "replace")
            if not text:
                continue
            if len(text) > LINE_LIMIT:
                text = text[:LINE_LIMIT] + " …"
            self.last.append(text)
            if self._tokens < 1:
                self._left_out += 1
                continue
            if self._left_out:
                lines.append(self._confession())
            self._tokens -= 1
            lines.append(text)
        return lines

    def _confession(self) -> str:
        count, self._left_out = self._left_out, 0
        return f"({count} lines left out: more than {RATE:g} a second)"


class Output:
    """A pipe of one child. `writer` goes to the child and is then closed with `sent`."""

    def __init__(self, log: Callable[[str], None], now: Callable[[], float]) -> None:
        """`log` gets each line."""
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._log = log
        self._now = now
        self._lines = Lines(now())
        self.closed = False

    @property
    def last(self) -> list[str]:
        """The last lines, for the one who has to explain an end."""
        return list(self._lines.last)

    def sent(self) -> None:
        """The child has its end: close ours, or the pipe never ends."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def read(self) -> bool:
        """Log what is there now; False at the end of the pipe."""
        # A bounded share of a turn: the rest is there in the next one.
        for _ in range(4):
            try:
                data = os.read(self.reader, _READ_SIZE)
            except BlockingIOError:
                return True
            if not data:
                return False
            for line in self._lines.feed(data, self._now()):
                self._log(line)
        return True

    def close(self) -> None:
        """Log the rest and release the pipe; the watcher must be gone."""
        if self.closed:
            return
        self.closed = True
        for line in self._lines.end(self._now()):
            self._log(line)
        self.sent()
        os.close(self.reader)
