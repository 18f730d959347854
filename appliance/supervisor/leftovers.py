"""What an earlier run left: written down while we run, ended before its addresses are used again.

A pid alone proves nothing, it may be anybody's by now: only a process with the same start time, in the same
boot, is ours. The guardian normally leaves nothing; this is for the day when both were killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from appliance.supervisor.processes import signal_group, start_time

FILE = "processes.json"

_PATIENCE = 2.0  # seconds from TERM to KILL
_STEP = 0.02


class Record:
    """The list on disk of the process groups that run now."""

    def __init__(self, directory: Path, report: Callable[[str], None]) -> None:
        """`report` is told, once, that the list cannot be written: a full disk must not end supervision."""
        self._path = directory / FILE
        self._report = report
        self._failed = False
        self._started: dict[int, int] = {}

    def add(self, group: int) -> None:
        """A group leader has started."""
        started = start_time(group)
        if started is not None:
            self._started[group] = started
            self._write()

    def discard(self, group: int) -> None:
        """It has ended, with its group."""
        if self._started.pop(group, None) is not None:
            self._write()

    def remove(self) -> None:
        """We end in order: nothing is left."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps({"boot": _boot(), "groups": sorted(self._started.items())}))
            os.replace(temporary, self._path)
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._report(
                    f"cannot write {self._path}: {error.strerror}; make room there. Until then, processes "
                    "that outlive a crash of the supervisor and of its guardian will not be recognised"
                )
        else:
            self._failed = False


def end_leftovers(directory: Path) -> list[int]:
    """End the groups that an earlier run recorded here and that still are what they were; the answer names
    them."""
    path = directory / FILE
    try:
        recorded = json.loads(path.read_text())
        groups = {int(group): int(started) for group, started in recorded["groups"]}
        same_boot = recorded["boot"] == _boot()
    except (OSError, ValueError, KeyError, TypeError):
        return []
    alive = {group for group, started in groups.items() if same_boot and start_time(group) == started}
    found = sorted(alive)
    limit = time.monotonic() + _PATIENCE
    for group in alive:
        signal_group(group, signal.SIGTERM)
    while alive and time.monotonic() < limit:
        time.sleep(_STEP)
        alive = {group for group in alive if start_time(group) == groups[group]}
    for group in alive:
        signal_group(group, signal.SIGKILL)
    path.unlink(missing_ok=True)
    return found


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
