"""The error log: one line per event, the same form from every process of ours.

    2026-11-21 08:00:00 [warning] supervisor: php-2 ended: exit status 255

What comes from outside (an application's stderr, a URL) must not be able to forge a line: control characters
are escaped here and nowhere else.
"""

from __future__ import annotations

import os
import re
import select
import time

LEVELS = ("debug", "info", "notice", "warning", "error")

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def format_line(level: str, who: str, text: str) -> str:
    """One line, newline included. `who` is the process or part that speaks; local time, as lighttpd logs."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"{stamp} [{level}] {who}: {_CONTROL.sub(_escape, text)}\n"


def _escape(match: re.Match[str]) -> str:
    return f"\\x{ord(match.group()):02x}"


class ErrorLog:
    """Writes lines of at least a certain level to a descriptor that can be exchanged (USR1 re-opens the
    file)."""

    def __init__(self, fd: int, level: str = "info") -> None:
        """`fd` stays the caller's; `level` is one of LEVELS."""
        self.fd = fd
        self._threshold = LEVELS.index(level)
        self._told: set[str] = set()
        self._lost = 0

    def use(self, fd: int, level: str) -> None:
        """Write to another descriptor, or at another level, from now on."""
        self.fd = fd
        self._threshold = LEVELS.index(level)

    def write(self, level: str, who: str, text: str) -> None:
        """Log one event. A log that cannot be written (disk full, reader gone or asleep) never stops a
        server; how many lines it cost is said when it can be written again."""
        if LEVELS.index(level) < self._threshold:
            return
        if self._lost:
            said = f"{self._lost} lines were lost: the log took no more (disk full, or nobody reads the pipe)"
            if not self._put(format_line("warning", "log", said)):
                self._lost += 1
                return
            self._lost = 0
        if not self._put(format_line(level, who, text)):
            self._lost += 1

    def _put(self, line: str) -> bool:
        """Write without waiting. The descriptor is shared, so it cannot be made non-blocking for us alone:
        ask first, and give a pipe no more at a time than it then takes at once (pipe(7), PIPE_BUF)."""
        data = line.encode("utf-8", "backslashreplace")
        poll = select.poll()
        try:
            poll.register(self.fd, select.POLLOUT)
            for start in range(0, len(data), select.PIPE_BUF):
                if not poll.poll(0):
                    return False
                os.write(self.fd, data[start : start + select.PIPE_BUF])
        except OSError:
            return False
        return True

    def once(self, level: str, who: str, text: str) -> None:
        """Log an event only the first time it is said."""
        if text not in self._told:
            self._told.add(text)
            self.write(level, who, text)
