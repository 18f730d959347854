"""Password files, opened and watched by the supervisor: the front gets their content and needs no right to
read them.

A file is looked at once a second and pushed when it changed; one that is missing or unreadable is pushed as
the error it is, which closes that login and nothing else.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from appliance.supervisor.chroot import outside
from appliance.supervisor.opening import open_meant

LIMIT = 4 << 20

_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of one file, or why there is none."""

    path: str
    content: str | None
    error: str | None


class Watch:
    """Some files, by path."""

    def __init__(self) -> None:
        self._root: str | None = None
        self._stamps: dict[str, _Stamp | None] = {}
        self.current: dict[str, Snapshot] = {}

    def follow(self, paths: tuple[str, ...], root: str | None = None) -> list[Snapshot]:
        """Watch exactly these from now on, below the front's chroot `root`; what is new or changed is the
        answer."""
        if root != self._root:
            self._root = root
            self._stamps = dict.fromkeys(self._stamps, ())
        for path in set(self._stamps) - set(paths):
            del self._stamps[path], self.current[path]
        for path in paths:
            if path not in self.current:
                self._stamps[path] = ()
        return self.poll()

    def poll(self) -> list[Snapshot]:
        """Read what has changed since the last look."""
        changed = []
        for path, known in self._stamps.items():
            place = outside(self._root, path)
            stamp = _stamp(place)
            if stamp == known:
                continue
            snapshot = _read(place, path)
            self._stamps[path] = stamp
            if self.current.get(path) != snapshot:
                self.current[path] = snapshot
                changed.append(snapshot)
        return changed


def _stamp(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    # ctime as well: a changed mode or owner may make the file readable.
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(place: str, path: str) -> Snapshot:
    try:
        # Opening a FIFO would wait for a writer for ever.
        fd = open_meant(place, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return Snapshot(path, None, error.strerror)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return Snapshot(path, None, "not a regular file")
        try:
            content = file.read(LIMIT + 1)
        except OSError as error:
            return Snapshot(path, None, error.strerror)
    if len(content) > LIMIT:
        return Snapshot(path, None, f"larger than {LIMIT >> 20} MiB")
    return Snapshot(path, content.decode("utf-8", "surrogateescape"), None)
