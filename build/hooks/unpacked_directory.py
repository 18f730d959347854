"""Run first in the frozen program: its unpacked directory, fit for a long-running server and gone in the end.

The bootloader makes it for its own user alone (0700, the files as well). Started as root, we serve as an
unprivileged user, who must load modules, templates and translations from it. And systemd-tmpfiles empties it
after ten days, under the running program, unless somebody holds a lock on it.

The bootloader stays as our parent, to remove the directory when we end. Killed, it leaves both behind: then
we do it ourselves. Once a server runs, its guardian takes that over (appliance/supervisor/guardian.py).
"""

import ctypes
import fcntl
import os
import shutil
import signal
import stat
import sys

_PR_SET_PDEATHSIG = 1
# Ours alone: nobody else sends it, and no command gives it another meaning.
_OUTER_IS_GONE = signal.SIGRTMAX
# PyInstaller counts: the outer process is 0, we are 1. Children that share our directory do not own it.
_LEVEL = "_PYI_PARENT_PROCESS_LEVEL"
_MAIN = "1"


def _open_to_all(top: str) -> None:
    for directory, _, files in os.walk(top):
        os.chmod(directory, 0o755)
        for name in files:
            os.chmod(os.path.join(directory, name), 0o755)


def _end_with_outer_process(directory: str) -> None:
    main, parent = os.getpid(), os.getppid()

    def end(number: int, frame: object) -> None:
        # A forked child has this handler too.
        if os.getpid() == main:
            shutil.rmtree(directory, ignore_errors=True)
            os._exit(128 + signal.SIGKILL)

    signal.signal(_OUTER_IS_GONE, end)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(_OUTER_IS_GONE), 0, 0, 0)
    try:
        # It may have died before the call: then our parent is another program.
        orphan = os.getppid() != parent or os.readlink(f"/proc/{parent}/exe") != os.readlink("/proc/self/exe")
    except OSError:
        orphan = False  # there may be no /proc
    if orphan:
        end(_OUTER_IS_GONE, None)


def _prepare() -> None:
    directory: str = getattr(sys, "_MEIPASS")  # noqa: B009 (PyInstaller sets it; no stub knows it)
    if os.environ.get(_LEVEL) == _MAIN:
        _end_with_outer_process(directory)
    if os.geteuid() == 0 and not os.stat(directory).st_mode & stat.S_IXOTH:
        _open_to_all(directory)
    # Kept open until we end, on purpose; a child shares it only by forking.
    fcntl.flock(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_SH)


_prepare()
