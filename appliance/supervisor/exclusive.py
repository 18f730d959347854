"""Directories that only one running instance may serve (a Trac environment, a run directory): flock on the
directory.

The lock is the kernel's, so it ends with the process however that ends, and leaves no file behind.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from appliance.errors import UserError


class LockHeld(Exception):
    """Somebody else has the lock; `holder` says who, as well as /proc tells."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Lock:
    """An exclusive lock on an existing directory, held until `close`."""

    def __init__(self, directory: Path) -> None:
        """Raises LockHeld, or OSError if the directory cannot be opened."""
        self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            status = os.fstat(self._fd)
            os.close(self._fd)
            raise LockHeld(_holder(status)) from None

    def close(self) -> None:
        """Let others have it."""
        os.close(self._fd)


class Exclusives:
    """The locks of a running configuration; a reload keeps what it still needs."""

    def __init__(self) -> None:
        self._locks: dict[str, Lock] = {}

    def acquire(self, directories: set[str]) -> list[str]:
        """Lock what is not ours yet; the answer names what is new (for `release` if the rest fails).

        Raises UserError naming the process that serves a directory already; nothing is kept then.
        """
        new: list[str] = []
        for directory in sorted({os.path.realpath(path) for path in directories} - self._locks.keys()):
            try:
                self._locks[directory] = Lock(Path(directory))
            except LockHeld as held:
                self.release(new)
                raise UserError(
                    f"{directory} is already served by {held.holder}; stop that one first "
                    "(`fcgibox status` shows what runs)"
                ) from None
            except OSError as error:
                self.release(new)
                raise UserError(f"cannot open {directory}: {error.strerror}") from error
            new.append(directory)
        return new

    def release(self, directories: list[str]) -> None:
        """Unlock these."""
        for directory in directories:
            self._locks.pop(directory).close()

    def keep_only(self, directories: set[str]) -> None:
        """Unlock everything else."""
        kept = {os.path.realpath(path) for path in directories}
        self.release([directory for directory in self._locks if directory not in kept])


def _holder(status: os.stat_result) -> str:
    """The process that holds a flock on this inode, from /proc/locks (`1: FLOCK ADVISORY WRITE pid
    maj:min:ino …`)."""
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return "another process"
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
            return f"process {words[4]}"
    return "another process"
