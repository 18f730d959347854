"""How much memory a process costs, with its children, and who costs too much (max-memory).

PSS: what it shares with others counts by its share, so that a process forked from a template is not charged
for what all of them use. Reading it makes the kernel walk the page tables: one look every few seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from appliance.supervisor.loop import Loop, Timer

INTERVAL = 5.0
"""Seconds between two looks at a pool."""
MIB = 1 << 20

_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_PAGE = os.sysconf("SC_PAGESIZE")


def family(pid: int) -> list[int]:
    """A process and its descendants, itself first."""
    found = [pid]
    for one in found:
        try:
            with open(f"/proc/{one}/task/{one}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            continue  # it has ended
    return found


def memory(pid: int) -> int:
    """Octets of a process with its descendants; 0 if it has ended."""
    return sum(map(_one, family(pid)))


def _one(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            found = _PSS.search(file.read())
        if found:
            return int(found[1]) << 10
    except PermissionError:
        # Another user's process in a container without CAP_SYS_PTRACE: what is its alone is nearest to it.
        return _private(pid)
    except OSError:
        pass
    return 0


def _private(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * _PAGE


class Scales:
    """Weighs the processes of one pool again and again."""

    def __init__(
        self,
        loop: Loop,
        limit: int,
        pids: Callable[[], Mapping[str, int]],
        exceeded: Callable[[str, int], None],
    ) -> None:
        """`limit` is in MiB; `pids` gives the processes to weigh by name, `exceeded` gets a name and MiB."""
        self._loop = loop
        self._limit = limit
        self._pids = pids
        self._exceeded = exceeded
        self._timer: Timer = loop.call_later(INTERVAL, self._weigh)

    def stop(self) -> None:
        """Weigh no more."""
        self._timer.cancel()

    def _weigh(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._weigh)
        for name, pid in self._pids().items():
            weight = memory(pid)
            if weight > self._limit * MIB:
                self._exceeded(name, weight // MIB)
