"""The file that tells the process numbers of what was started, one a line.

It is opened before privileges are given up and before a chroot hides it, and emptied only once nothing can be
refused any more: a second start beside a running one must not lose the number of the first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Self

from appliance.errors import UserError
from appliance.supervisor.entry import Entry

_MODE = 0o644


class PidFile:
    """Left without `take`, the path is as it was before; without `write`, no new file is there.

    A path of None: no file is wanted.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._fd = -1
        self._created: Entry | None = None

    def __enter__(self) -> Self:
        """Open it. UserError if that cannot be done."""
        if self._path is None:
            return self
        # Not blocking: somebody may have put a pipe there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            try:
                self._fd = os.open(self._path, flags | os.O_EXCL, _MODE)
                self._created = Entry(self._path)
            except FileExistsError:
                self._fd = os.open(self._path, flags, _MODE)
        except OSError as error:
            raise UserError(f"cannot write the pid file {self._path}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise UserError(
                f"cannot write the pid file {self._path}: what is there is no file; choose another path"
            )
        return self

    def take(self) -> None:
        """From now on it is ours: what an earlier start has written is gone."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)

    def write(self, pids: Sequence[int]) -> None:
        """One number a line, without a newline at the end, as spawn-fcgi writes it."""
        if self._fd < 0 or not pids:
            return
        os.write(self._fd, "\n".join(map(str, pids)).encode())
        if self._created is not None:
            self._created.close()
            self._created = None

    def __exit__(self, *_: object) -> None:
        if self._created is not None:
            self._created.remove()
            self._created.close()
        if self._fd >= 0:
            os.close(self._fd)
