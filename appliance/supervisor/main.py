"""The way in: what a command calls to serve, once per process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys

from appliance.supervisor import kernel, rundir
from appliance.supervisor.environment import is_frozen
from appliance.supervisor.plan import front_identity
from appliance.supervisor.reloading import load
from appliance.supervisor.source import Source
from appliance.supervisor.supervisor import RunOptions, Supervisor

__all__ = ["RunOptions", "run"]


def run(source: Source, options: RunOptions) -> int:
    """Serve until stopped; the exit status. Raises UserError if it cannot even begin."""
    _prepare_process()
    configuration = load(source)
    directory = options.run_directory or rundir.run_directory(source.instance)
    lock = rundir.prepare(directory, front_identity(configuration).gid)
    try:
        return Supervisor(source, options, directory).run(configuration)
    finally:
        if options.run_directory is None:
            # Before the lock goes: whoever has it next has made the directory anew.
            with contextlib.suppress(OSError):
                directory.rmdir()
        lock.close()


def _prepare_process() -> None:
    kernel.adopt_orphans()
    # What our own parent left open (a shell's pipe, make's job server) is no business of our children.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
    unpacked = getattr(sys, "_MEIPASS", None)
    if not is_frozen() or unpacked is None:
        return
    # The outer process of the frozen program waits for us and cannot say that it was killed.
    if not kernel.die_with_parent(os.getppid(), signal.SIGKILL):
        sys.exit(1)
    # systemd-tmpfiles leaves alone what is locked; the descriptor stays open as long as we live.
    fd = os.open(unpacked, os.O_RDONLY)
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    if os.geteuid() == 0:
        # The front and the applications read their modules from it as another user.
        os.chmod(unpacked, 0o755)
