"""A directory entry that can be removed later, wherever this process is by then.

A path means something else after a change of directory or root; the directory held open stays the same.
"""

from __future__ import annotations

import contextlib
import os


class Entry:
    """The name of a file or socket, and its directory. OSError if there is no such directory."""

    def __init__(self, path: str) -> None:
        directory, self._name = os.path.split(path)
        self._directory = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def remove(self) -> None:
        """Remove it, if it is there and who we are now may do so."""
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._directory)

    def close(self) -> None:
        """It stays."""
        os.close(self._directory)
