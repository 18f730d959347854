"""Looking up and opening files without being led astray.

Only regular files are ever opened, never a FIFO or a device. With `beneath` given no symbolic link below that
directory is followed: the way is walked component by component from an open directory, so that no link can be
slipped in between check and use. What fails becomes `Unavailable`, with the status to answer.
"""

from __future__ import annotations

import errno
import os
import stat

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_LINK = "symbolic links are not followed (server.follow-symlink)"


class Unavailable(Exception):
    """There is no regular file to send: `status` says how that is answered (403 or 404)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class NotAFile(Unavailable):
    """Something is there that is never opened: a FIFO, a socket, a device."""


def identity(found: os.stat_result) -> tuple[int, int, int, int, int, int]:
    """Equal as long as nobody wrote, replaced, renamed or changed the mode: ctime cannot be set back."""
    return (
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def look_up(path: str, beneath: str | None) -> os.stat_result:
    """What is at `path`. Raises OSError, ValueError, and Unavailable for a link that must not be followed."""
    if beneath is None or _is_base(path, beneath):
        return os.stat(path)
    parent, name = _parent(path, beneath)
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)
    if stat.S_ISLNK(found.st_mode):
        raise Unavailable(403, _LINK)
    return found


def open_regular(path: str, beneath: str | None) -> tuple[int, os.stat_result]:
    """Open what `stat` said is a regular file, and prove that it has not been exchanged. Raises like it."""
    if beneath is None or _is_base(path, beneath):
        fd = os.open(path, _OPEN)
    else:
        parent, name = _parent(path, beneath)
        try:
            fd = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise NotAFile(403, "it is not a regular file")
    return fd, found


def _is_base(path: str, beneath: str) -> bool:
    """The base itself may be a link, or a file (alias.url to one): it is the admin's word."""
    return path.rstrip("/") == beneath.rstrip("/")


def _parent(path: str, beneath: str) -> tuple[int, str]:
    """The directory that holds `path`, reached from `beneath` without a symbolic link, and the name."""
    base = beneath.rstrip("/")
    names = [name for name in path[len(base) :].split("/") if name]
    if not path.startswith(base + "/") or ".." in names:
        raise Unavailable(403, "the path leaves the directory it must stay in")
    fd = os.open(base or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            below = _step(name, fd)
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd, names[-1]


def _step(name: str, directory: int) -> int:
    try:
        return os.open(name, _WALK, dir_fd=directory)
    except NotADirectoryError:
        # Linux says the same of a link (403) and of a file (404) here.
        if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise Unavailable(403, _LINK) from None
        raise


def failure(error: OSError | ValueError) -> Unavailable:
    """What an error of the file system means to whoever asked for the file."""
    if isinstance(error, ValueError):  # a NUL, which no file name can contain
        return Unavailable(404, "no such file")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return Unavailable(404, "no such file")
    if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP):
        return Unavailable(403, str(error.strerror))
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Unavailable(503, f"{error.strerror}: raise the limit of open files (server.max-fds)")
    return Unavailable(500, error.strerror or str(error))
