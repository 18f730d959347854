"""Who holds an address: from /proc, so that "address already in use" comes with a name.

The tables of /proc/net give the inode of a listening socket; the processes' descriptors give whose it is.
Another user's descriptors cannot be read without root: then only the address is known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTENING = "0A"


def holder_of_port(port: int) -> str | None:
    """The program listening on a TCP port of this machine, as "php-cgi (process 123)"; None if unknown."""
    return next((_described(pid) for pid in holders_of_port(port)), None)


def holders_of_port(port: int) -> Iterator[int]:
    """The processes listening on a TCP port of this machine, as far as they can be known."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening_inodes(table, port)}
    return _owners(inodes)


def holder_of_socket(path: str) -> str | None:
    """The program listening on a unix socket."""
    inodes = set()
    for line in _lines("unix"):
        # Num RefCount Protocol Flags Type St Inode Path
        words = line.split(maxsplit=7)
        if len(words) == 8 and words[7] == path:
            inodes.add(words[6])
    return next((_described(pid) for pid in _owners(inodes)), None)


def holder_among(pids: Iterable[int], inode: int) -> int | None:
    """Which of these processes has the socket of this inode open: the last of them, for a child may share
    one with its parent."""
    wanted = {f"socket:[{inode}]"}
    return next((pid for pid in reversed(list(pids)) if _holds(str(pid), wanted)), None)


def accepted_from(port: int) -> int | None:
    """The inode of this machine's end of a TCP connection whose other end has this port; 0: nobody has
    accepted it."""
    for line in (*_lines("tcp"), *_lines("tcp6")):
        words = line.split()
        if len(words) > 9 and int(words[2].rpartition(":")[2], 16) == port:
            return int(words[9])
    return None


def _listening_inodes(table: str, port: int) -> Iterator[str]:
    for line in _lines(table):
        # sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
        words = line.split()
        if len(words) > 9 and words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
            yield words[9]


def _lines(table: str) -> list[str]:
    try:
        return Path(f"/proc/net/{table}").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []


def _owners(inodes: set[str]) -> Iterator[int]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for name in os.listdir("/proc") if wanted else ():
        if name.isdigit() and _holds(name, wanted):
            yield int(name)


def _described(pid: int) -> str:
    return f"{describe_program(pid)} (process {pid})"


def _holds(pid: str, wanted: set[str]) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(os.readlink(entry.path) in wanted for entry in entries)
    except OSError:
        return False


def describe_program(pid: int) -> str:
    """The name of a running program; another fcgibox is recognised by its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process"
    if any(re.search(r"(^|/)fcgibox$", word) for word in words[:2]) or "appliance" in words[:4]:
        return "another fcgibox"
    return name
