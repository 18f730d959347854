"""Run first in the frozen program: make the directory it unpacked itself to fit for a long-running server.

The bootloader makes it for its own user alone (0700, the files as well). Started as root, we serve as an
unprivileged user, who must load modules, templates and translations from it. And systemd-tmpfiles empties it
after ten days, under the running program, unless somebody holds a lock on it.
"""

import fcntl
import os
import stat
import sys


def _open_to_all(top: str) -> None:
    for directory, _, files in os.walk(top):
        os.chmod(directory, 0o755)
        for name in files:
            os.chmod(os.path.join(directory, name), 0o755)


def _prepare() -> None:
    directory: str = getattr(sys, "_MEIPASS")  # noqa: B009 (PyInstaller sets it; no stub knows it)
    if os.geteuid() == 0 and not os.stat(directory).st_mode & stat.S_IXOTH:
        _open_to_all(directory)
    # Kept open until we end, on purpose; a child shares it only by forking.
    fcntl.flock(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_SH)


_prepare()
