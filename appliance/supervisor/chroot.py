"""Paths as seen from inside and from outside of a directory that is somebody's root (chroot(2)).

Who looks from outside must not follow a link inside as if it were his own: an absolute one leads back to that
root, and ".." stops there.
"""

from __future__ import annotations

import errno
import os

_LINKS = 40  # path_resolution(7)


def outside(root: str | None, path: str) -> str:
    """Where on this machine the absolute `path` is for a process with this root; links on the way are
    followed as it would. What does not exist is taken as it stands. OSError (ELOOP): links without end."""
    if root is None:
        return path
    here, links = "", 0
    names = path.split("/")[::-1]
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here).rstrip("/")
            continue
        step = f"{here}/{name}"
        try:
            target = os.readlink(root + step)
        except OSError:
            here = step
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            here = ""
        names += target.split("/")[::-1]
    return root + here or "/"
