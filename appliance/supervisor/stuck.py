"""Ending whoever is stuck with a request (request-timeout): the process, or the one child that serves it.

The front cannot signal anybody. It names the process and the connection: the inode of the application's end
of a unix socket, or the number of its own TCP port. Whose descriptor that is, /proc tells. A child is ended
alone, and its parent starts another one; a process that serves others at the same time is replaced instead,
so that only the stuck request is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal

from appliance.report.error_log import ErrorLog
from appliance.supervisor.applications import Applications
from appliance.supervisor.channel import Message
from appliance.supervisor.holders import accepted_from, holder_among
from appliance.supervisor.loop import Loop
from appliance.supervisor.memory import family
from appliance.supervisor.processes import start_time

GRACE = 2.0
"""Seconds from TERM to KILL: php-cgi's children notice the first only between two requests."""


class Stuck:
    """Carries out the front's "kill" messages."""

    def __init__(self, loop: Loop, log: ErrorLog) -> None:
        self._loop = loop
        self._log = log

    def end(self, applications: Applications, process: str, message: Message) -> None:
        """`message` has the reason, "inode" or "port" if only whoever holds that connection is to be ended,
        and "shared" if others are being served by the same process."""
        application = applications.processes.get(process)
        if application is None or application.pid is None:
            return
        reason = str(message.get("reason", ""))
        inode = message.get("inode")
        if "port" in message:
            inode = accepted_from(int(message["port"]))
        if inode is None:
            applications.stuck(process, reason)
            return
        holder = holder_among(family(application.pid), int(inode)) if inode else None
        if holder is None:
            # Nobody has taken it (all its children are busy with what we do not know of), or it is over.
            self._log.write("warning", process, f"nobody works on it: {reason}")
            if not inode:
                applications.recycle(process, "none of its children takes a request")
        elif holder != application.pid:
            self._end_child(process, holder, reason)
        elif message.get("shared"):
            applications.recycle(process, f"a request is stuck while it serves others: {reason}")
        else:
            applications.stuck(process, reason)

    def _end_child(self, process: str, pid: int, reason: str) -> None:
        self._log.write("warning", process, f"its child {pid} is ended: {reason}")
        started = start_time(pid)

        def insist() -> None:
            if started is not None and start_time(pid) == started:
                self._log.write("warning", process, f"its child {pid} did not end on TERM and is killed")
                _signal(pid, signal.SIGKILL)

        _signal(pid, signal.SIGTERM)
        self._loop.call_later(GRACE, insist)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
