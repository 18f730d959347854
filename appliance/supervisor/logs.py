"""The log files, opened by the supervisor (they may be root's) and handed to the fronts as descriptors.

After a rotation USR1 opens them again by name. A terminal or journal is named as programs are used to: "-",
/dev/stdout and /dev/stderr mean our own descriptors, which cannot always be opened by path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from appliance.errors import UserError
from appliance.supervisor.chroot import outside
from appliance.supervisor.opening import open_meant

_STREAMS = {"-": 1, "/dev/stdout": 1, "/proc/self/fd/1": 1, "/dev/stderr": 2, "/proc/self/fd/2": 2}
_MODE = 0o640

ERROR = "error"


class Logs:
    """Descriptors by name: "error", and each access log by its file name in the configuration."""

    def __init__(self, error_log: str | None, access_logs: Iterable[str], root: str | None = None) -> None:
        """Opens all of them, below the front's chroot `root`. Raises UserError for one that cannot be
        opened."""
        self._root = root
        self.error_path = error_log and self._outside(error_log)
        self._paths = {ERROR: error_log or "/dev/stderr"} | {path: path for path in access_logs}
        self.descriptors: dict[str, int] = {}
        try:
            for name, path in self._paths.items():
                self.descriptors[name] = _open(self._outside(path))
        except UserError:
            self.close()
            raise

    def reopen(self) -> list[UserError]:
        """Open the files again by their names; one that fails keeps its old file and is in the answer."""
        errors = []
        for name, path in self._paths.items():
            try:
                fresh = _open(self._outside(path))
            except UserError as error:
                errors.append(error)
                continue
            # The number stays: the error log writes to it.
            os.dup2(fresh, self.descriptors[name], inheritable=False)
            os.close(fresh)
        return errors

    def _outside(self, path: str) -> str:
        return path if path in _STREAMS or path.startswith("|") else outside(self._root, path)

    def close(self) -> None:
        """Release all descriptors."""
        for fd in self.descriptors.values():
            os.close(fd)
        self.descriptors.clear()


def _open(path: str) -> int:
    if path in _STREAMS:
        return os.dup(_STREAMS[path])
    if path.startswith("|"):
        raise UserError(f"cannot log to {path!r}: programs as logs are not supported yet; name a file")
    try:
        # Not blocking: opening a FIFO would wait for its reader, and nothing would be supervised.
        fd = open_meant(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK, _MODE)
    except OSError as error:
        hint = _hint(path) if isinstance(error, (FileNotFoundError, PermissionError)) else ""
        if error.errno == errno.ENXIO:
            hint = "; it is a pipe or a socket: start the program that reads it first, or name a file"
        raise UserError(f"cannot open the log {path}: {error.strerror}{hint}") from error
    os.set_blocking(fd, True)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise UserError(f"cannot log to {path}: it is a directory")
    return fd


def _hint(path: str) -> str:
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        return f"; `mkdir -p {directory}` creates the directory"
    return f"; this user may not write there (`ls -ld {directory}`)"
