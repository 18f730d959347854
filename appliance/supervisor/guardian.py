"""The guardian: a process that outlives the supervisor by two seconds at most, to leave nothing behind.

PR_SET_PDEATHSIG reaches the processes we started, not theirs (php-cgi's children, a CGI of a script): the
guardian knows every process group. It reads orders from a pipe whose only other end is the supervisor's; the
end of the pipe is the supervisor's end. Standard library only, in a session of its own, deaf to the terminal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

from appliance.supervisor.processes import close_all_but, signal_group, start_time

# First TERM (php-cgi passes it on to its children), then KILL: together well below two seconds.
_TERM_PATIENCE = 0.6
_KILL_PATIENCE = 0.6
_STEP = 0.02


class Guardian:
    """The supervisor's side: starts it, tells it what to end, starts it again should it be killed."""

    def __init__(self, run_directory: Path) -> None:
        """`run_directory`: its sockets are removed with the rest."""
        self._run_directory = run_directory
        self._groups: set[int] = set()
        self._sockets: set[str] = set()
        self._pipe = -1
        self.pid = -1
        # The bootloader of the frozen program removes the unpacked directory when we end, unless it is gone
        # itself.
        self._outer = (os.getppid(), start_time(os.getppid()))
        self.start()

    def start(self) -> None:
        """Fork a guardian that knows everything so far (also after its death)."""
        if self._pipe >= 0:
            os.close(self._pipe)
        reader, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _guard(reader, set(self._groups), set(self._sockets), self._run_directory, self._outer)
            finally:
                os._exit(0)
        os.close(reader)

    def add(self, group: int) -> None:
        """A process group to end with us."""
        self._groups.add(group)
        self._tell(f"+{group}")

    def discard(self, group: int) -> None:
        """Nothing is left of this group."""
        self._groups.discard(group)
        self._tell(f"-{group}")

    def add_socket(self, path: str) -> None:
        """A socket outside of the run directory to remove with us."""
        self._sockets.add(path)
        self._tell(f"s{path}")

    def discard_socket(self, path: str) -> None:
        """Already removed."""
        self._sockets.discard(path)
        self._tell(f"d{path}")

    def dismiss(self) -> None:
        """We end in order: there is nothing to guard."""
        self._tell("bye")
        os.close(self._pipe)
        self._pipe = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, order: str) -> None:
        # A dead guardian is started again by whoever sees its death, with the complete list.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, os.fsencode(order) + b"\0")


def _guard(
    reader: int, groups: set[int], sockets: set[str], run_directory: Path, outer: tuple[int, int | None]
) -> None:
    os.setsid()
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGTSTP,
    ):
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    close_all_but({0, 1, 2, reader})
    rest = b""
    while data := os.read(reader, 65536):
        *orders, rest = (rest + data).split(b"\0")
        for order in map(os.fsdecode, orders):
            if order == "bye":
                return
            kind, what = order[0], order[1:]
            if kind == "+":
                groups.add(int(what))
            elif kind == "-":
                groups.discard(int(what))
            elif kind == "s":
                sockets.add(what)
            else:
                sockets.discard(what)
    _end(groups)
    _tidy(sockets, run_directory, outer)


def _end(groups: set[int]) -> None:
    for number, patience in ((signal.SIGTERM, _TERM_PATIENCE), (signal.SIGKILL, _KILL_PATIENCE)):
        groups = {group for group in groups if signal_group(group, number)}
        # A stopped process (SIGSTOP, a debugger) takes a signal only when it goes on.
        for group in groups:
            signal_group(group, signal.SIGCONT)
        limit = time.monotonic() + patience
        while groups and time.monotonic() < limit:
            time.sleep(_STEP)
            groups = {group for group in groups if signal_group(group, 0)}


def _tidy(sockets: set[str], run_directory: Path, outer: tuple[int, int | None]) -> None:
    with contextlib.suppress(OSError):
        sockets |= {str(path) for path in run_directory.iterdir() if stat.S_ISSOCK(path.lstat().st_mode)}
    for path in sockets:
        with contextlib.suppress(OSError):
            os.unlink(path)
    unpacked = getattr(sys, "_MEIPASS", None)
    pid, started = outer
    if unpacked and (started is None or start_time(pid) != started):
        shutil.rmtree(unpacked, ignore_errors=True)
