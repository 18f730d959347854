"""Opening files as root in places where others can put symbolic links.

A link leads us where its owner wants, with our rights: to a password file that he may not read, to a file
that he may not write. So root follows a link only if its owner could not gain by it: it is root's, or it
belongs to the owner of the file that it leads to. The way is walked descriptor by descriptor, so that nothing
is exchanged between the look and the opening (openat(2), O_PATH).
"""

from __future__ import annotations

import errno
import os
import stat

_LINKS = 40  # path_resolution(7)
_KERNELS = ("/dev/", "/proc/")  # links there are not names but open files


def open_meant(path: str, flags: int, mode: int = 0o600) -> int:
    """As os.open, close-on-exec. OSError (ELOOP) that says so if root is led by somebody else's link."""
    flags |= os.O_CLOEXEC
    if os.geteuid() != 0 or path.startswith(_KERNELS):
        return os.open(path, flags, mode)
    owners: set[int] = set()
    directory, name = _walk(path, owners)
    try:
        try:
            fd = os.open(name, flags & ~(os.O_CREAT | os.O_TRUNC) | os.O_NOFOLLOW, dir_fd=directory)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            _refuse(path, owners)
            return os.open(name, flags | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        _refuse(path, owners - {os.fstat(fd).st_uid})
        if flags & os.O_TRUNC:
            os.ftruncate(fd, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def write_file(path: str, text: str) -> None:
    """Make it the content of a file. OSError, also if something else than a file is there."""
    fd = open_meant(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
    with os.fdopen(fd, "w") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "what is there is not a regular file; choose another path", path)
        file.truncate(0)
        file.write(text)


def _refuse(path: str, owners: set[int]) -> None:
    strangers = owners - {0}
    if strangers:
        raise OSError(
            errno.ELOOP,
            f"a symbolic link on the way belongs to user {min(strangers)}, who does not own what it leads "
            "to; name the file itself, or let root own the link",
            path,
        )


def _walk(path: str, owners: set[int]) -> tuple[int, str]:
    """The directory that a path leads to in the end, and the name in it, which is no link; the owners of all
    links on the way are added."""
    here = os.open("/" if path.startswith("/") else ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    names = _names(path)
    links = 0
    try:
        while True:
            name = names.pop()
            try:
                there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            except FileNotFoundError:
                if names:
                    raise
                return here, name
            status = os.fstat(there)
            if stat.S_ISLNK(status.st_mode):
                owners.add(status.st_uid)
                links += 1
                target = os.readlink("", dir_fd=there)
                os.close(there)
                if links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                names += _names(target)
                if target.startswith("/"):
                    os.close(here)
                    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            elif names:
                os.close(here)
                here = there
            else:
                os.close(there)
                return here, name
    except OSError:
        os.close(here)
        raise


def _names(path: str) -> list[str]:
    """The components of a path, the last one first; of "/" it is the directory itself."""
    return [name for name in reversed(path.split("/")) if name] or ["."]
