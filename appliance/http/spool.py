"""A body that is kept until it is wanted: in memory while it is small, then in a temporary file without a
name.

The file is unlinked before the first octet is written, so a crash leaves nothing behind. A full disk raises
OSError at `write`; the octets written so far stay readable.
"""

from __future__ import annotations

import os
import tempfile

MEMORY = 65536  # octets kept in memory, lighttpd's own limit


class Spool:
    """Octets in order of arrival, readable at any offset; `server.upload-dirs` says where the file is."""

    __slots__ = ("_directory", "_fd", "_memory", "memory_limit", "size")

    def __init__(self, directory: str, memory_limit: int = MEMORY) -> None:
        self._directory = directory
        self._memory = bytearray()
        self._fd = -1
        self.memory_limit = memory_limit
        self.size = 0  # octets

    def write(self, data: bytes) -> None:
        """Append all of `data`. Raises OSError (no space, no such directory); nothing is appended then."""
        if self._fd < 0:
            if self.size + len(data) <= self.memory_limit:
                self._memory += data
                self.size += len(data)
                return
            fd = _unnamed_file(self._directory)
            try:
                _write_at(fd, self._memory, 0)
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
            self._memory = bytearray()
        _write_at(self._fd, data, self.size)
        self.size += len(data)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` octets at `offset`; fewer at the end."""
        if self._fd < 0:
            return bytes(memoryview(self._memory)[offset : offset + length])
        return os.pread(self._fd, min(length, max(0, self.size - offset)), offset)

    def close(self) -> None:
        """Forget everything; a second call does nothing."""
        fd, self._fd = self._fd, -1
        self._memory = bytearray()
        self.size = 0
        if fd >= 0:
            os.close(fd)


def _write_at(fd: int, data: bytes | bytearray, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]


def _unnamed_file(directory: str) -> int:
    """A descriptor of a new file that has no name."""
    try:
        return os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        # File systems without O_TMPFILE (overlayfs of old kernels, NFS) say so in several ways: the classic
        # way then.
        fd, path = tempfile.mkstemp(prefix="fcgibox-", dir=directory)
        os.unlink(path)
        return fd
