"""Restarting one pool without losing a request: by `fcgibox restart`, or by touching its restart-file.

First a new template, if the pool has one: it must become ready before anything else changes. Then the policy
replaces the processes one after the other, each by one that has proved itself. If something new fails, what
is old stays, and whoever asked is told why.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.report.error_log import ErrorLog
from appliance.supervisor.loop import Loop

if TYPE_CHECKING:
    from appliance.supervisor.applications import Applications
    from appliance.supervisor.template import Template

Outcome = Callable[[str | None], None]
"""Told how it went: None, or the error with the last words of what failed."""

_LINES = 10  # of its last words


class Restarts:
    """The restarts of one pool: one at a time; who asks meanwhile gets another one after it."""

    def __init__(self, applications: Applications, loop: Loop, log: ErrorLog) -> None:
        self._applications = applications
        self._loop = loop
        self._log = log
        self._asking: list[Outcome] = []
        self._waiting: list[Outcome] = []
        self._candidate: Template | None = None
        self._stopped = False
        self._stamp = self._read_stamp()

    def ask(self, outcome: Outcome) -> None:
        """Restart the pool."""
        if self._stopped:
            outcome("the pool is being stopped")
            return
        if self._asking:
            self._waiting.append(outcome)
            return
        self._asking = [outcome]
        self._begin()

    def look(self) -> None:
        """Restart it if its restart-file has been touched since the last look."""
        if self._applications.definition.restart_file is None:
            return
        stamp, before = self._read_stamp(), self._stamp
        self._stamp = stamp
        if stamp is not None and stamp != before:
            path = self._applications.definition.restart_file
            self._note("notice", f"{path} has been touched")
            self.ask(lambda error: None)

    def over(self, error: str | None, stderr: tuple[str, ...] = ()) -> None:
        """The policy, or the template, says how it went."""
        name = self._applications.definition.name
        if error is None:
            self._note("notice", "restarted: new processes are at work")
        else:
            last = "".join(f"\n  {line}" for line in stderr[-_LINES:])
            error = f"the pool {name!r} was not restarted, what is old stays: {error}" + (
                f"; its last words:{last}" if last else ""
            )
            self._note("error", error.replace("\n", " "))
        asking, self._asking = self._asking, []
        for outcome in asking:
            outcome(error)
        waiting, self._waiting = self._waiting, []
        if self._stopped:
            for outcome in waiting:
                outcome("the pool is being stopped")
        elif waiting:
            # They asked after something had changed once more.
            self._asking = waiting
            self._loop.call_later(0, self._begin)

    def stop(self) -> None:
        """The pool ends."""
        self._stopped = True
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            candidate.stop()
            self.over("the pool is being stopped")

    def _begin(self) -> None:
        self._note("notice", "is restarted")
        if self._applications.template is None:
            self._applications.restart()
            return
        self._candidate = self._applications.new_template(self._candidate_ready)
        self._candidate.start()

    def _candidate_ready(self, reason: str, stderr: tuple[str, ...]) -> None:
        candidate, self._candidate = self._candidate, None
        if reason:
            if candidate is not None:
                candidate.stop()
            self.over(reason, stderr)
            return
        old, self._applications.template = self._applications.template, candidate
        if old is not None:
            old.stop()
        self._applications.restart()

    def _read_stamp(self) -> int | None:
        path = self._applications.definition.restart_file
        try:
            return None if path is None else os.stat(path).st_mtime_ns
        except OSError:
            return None

    def _note(self, level: str, text: str) -> None:
        self._log.write(level, self._applications.definition.name, text)
