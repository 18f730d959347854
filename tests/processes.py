"""What /proc tells about processes: who lives, who is whose child, what they cost."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def _read(pid: int, name: str) -> str:
    """A file of /proc/PID, or nothing if the process is gone (or, as another user, not ours to look at)."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (proc(5) counts it as the third)."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def parent(pid: int) -> int:
    """The parent's process id; 0 if the process is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def children(pid: int) -> set[int]:
    """The living children."""
    return {child for child in _all() if parent(child) == pid and alive(child)}


def family(pid: int) -> set[int]:
    """The process and every living descendant that still hangs on it."""
    parents = {child: parent(child) for child in _all() if alive(child)}
    found = {pid} & parents.keys()
    while more := {child for child, above in parents.items() if above in found} - found:
        found |= more
    return found


def session(number: int) -> set[int]:
    """The living processes of a session, also those whose parents are gone."""
    return {pid for pid in _all() if (fields := _stat(pid)) and int(fields[3]) == number and alive(pid)}


def marked(assignment: str) -> set[int]:
    """The living processes that have `NAME=value` in the environment they were started with."""
    wanted = f"{assignment}\0"
    return {pid for pid in _all() if wanted in _read(pid, "environ") and alive(pid)}


def command_line(pid: int) -> list[str]:
    return _read(pid, "cmdline").split("\0")[:-1]


def owner(pid: int) -> int:
    """The effective user id."""
    return int(re.search(r"^Uid:\t\d+\t(\d+)", _read(pid, "status"), re.MULTILINE)[1])  # type: ignore[index]


def unix_listeners(pid: int) -> set[str]:
    """Paths of the unix sockets that the process has open and listens on."""
    inodes = set()
    with contextlib.suppress(FileNotFoundError):  # the process has ended
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # or closed this one
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry)):
                    inodes.add(match[1])
    rows = (line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    listening = 0x10000  # __SO_ACCEPTCON in the flags
    return {row[7] for row in rows if len(row) == 8 and row[6] in inodes and int(row[3], 16) & listening}


def cpu_seconds(pid: int) -> float:
    """User and system time of the process with all its threads, without its children; 0 if it is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def start_time(pid: int) -> int:
    """Clock ticks from boot to the start: with the pid, the identity of a process. 0 if it is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def memory(pid: int) -> dict[str, int]:
    """kB by name (`Rss`, `Pss`, `Private_Dirty` …) from smaps_rollup."""
    return {match[1]: int(match[2]) for match in re.finditer(r"(\w+): +(\d+) kB", _read(pid, "smaps_rollup"))}
