"""Whether memory holds all processes that a configuration lets run: said before the machine begins to swap.

At the start by what such a program usually needs, as far as that is known; while it runs by what its
processes have: pools are weighed again and again, for they grow with what they serve.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.config import PoolDefinition
from appliance.supervisor.applications import Applications
from appliance.supervisor.loop import Loop
from appliance.supervisor.memory import MIB, memory

FIRST_LOOK = 3.0
"""Seconds after the start."""
INTERVAL = 60.0

_PHP_CHILD = (
    16 * MIB
)  # php-cgi 8.2 at work, of its own: 10 to 20 MiB with an ordinary framework; idle it is 1
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Need:
    """What a pool has, and may come to have."""

    name: str
    maximum: int
    size: int
    """Octets of one process with its children."""
    used: int
    """Octets of all its processes now."""
    children: int = 0

    def __str__(self) -> str:
        of = f" with {self.children} children" if self.children else ""
        return f"the pool {self.name!r} up to {self.maximum} processes{of} of {_mib(self.size)} MiB"


def shortage(needs: Sequence[Need], available: int) -> str | None:
    """What to tell about these pools with so many octets available; None: they fit."""
    more = sum(max(0, need.maximum * need.size - need.used) for need in needs)
    if more <= available:
        return None
    return (
        f"memory may not hold what may run: {'; '.join(map(str, needs))}. That is {_mib(more)} MiB more than "
        f"now, and {_mib(available)} MiB are available: lower max-procs or PHP_FCGI_CHILDREN, or add memory"
    )


def expected(definitions: Iterable[PoolDefinition]) -> list[Need]:
    """What pools are expected to need whose programs are known."""
    needs = []
    for definition in definitions:
        if definition.command and re.match(r"php-cgi", os.path.basename(definition.command[0])):
            children = _children(definition)
            size = _PHP_CHILD * max(1, children)
            needs.append(Need(definition.name, definition.max_procs, size, 0, children))
    return needs


def available() -> int:
    """Octets that can be had: what the machine has left, or the control groups we are in."""
    text = Path("/proc/meminfo").read_text()
    found = re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE)
    most = int(found[1]) << 10 if found else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([most, *_left_in_groups()])


def _left_in_groups() -> Iterable[int]:
    """Of each control group on the way to ours that has a limit (cgroup v2)."""
    match = re.search(r"^0::(/.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    path = _CGROUPS / match[1].strip("/") if match else _CGROUPS
    for group in (path, *path.parents):
        if not group.is_relative_to(_CGROUPS):
            break
        try:
            limit = (group / "memory.max").read_text().strip()
            used = int((group / "memory.current").read_text())
            cached = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
        except OSError:
            continue  # the root has none
        if limit.isdigit():
            yield max(0, int(limit) - used + (int(cached[1]) if cached else 0))


class Room:
    """Looks at all pools while they run."""

    def __init__(
        self, loop: Loop, pools: Callable[[], Sequence[Applications]], warn: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._pools = pools
        self._warn = warn
        self._told: set[PoolDefinition] = set()
        """Pools that a warning has named: once is enough."""

    def watch(self) -> None:
        """Begin."""
        self._loop.call_later(FIRST_LOOK, self._look)
        self._loop.every(INTERVAL, self._look)

    def _look(self) -> None:
        pools = {one.definition: weighed for one in self._pools() if (weighed := _weigh(one)) is not None}
        text = shortage(list(pools.values()), available())
        if text is not None and not self._told.issuperset(pools):
            self._told = set(pools)
            self._warn(text)


def _weigh(applications: Applications) -> Need | None:
    definition = applications.definition
    sizes = [memory(one.pid) for one in applications.processes.values() if one.pid is not None]
    if not sizes:
        return None
    # One may still be starting, or idle since: what one has come to, others can.
    size = max(sizes)
    return Need(definition.name, definition.max_procs, size, sum(sizes), _children(definition))


def _children(definition: PoolDefinition) -> int:
    text = dict(definition.environment).get("PHP_FCGI_CHILDREN", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


def _mib(octets: int) -> int:
    return -(-octets // MIB)
