"""How long an application process lives: until it is asked to stop, and no longer than its supervisor.

prctl(PR_SET_PDEATHSIG) has the kernel end us with our parent. It is set after the last change of parent and
of identity, and the parent is looked at again afterwards, because it may have died in between.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket

_PR_SET_PDEATHSIG = 1


class Stop:
    """The request to stop: TERM, USR1 (the graceful stop of FastCGI processes), or INT unless it is ignored.

    It only sets `requested` and makes `fileno` readable, for a poll: whatever runs is finished first. One per
    process, made before anything is that has to be cleaned up.
    """

    def __init__(self, ignore_interrupt: bool) -> None:
        self.requested = False
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._request)
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignore_interrupt else self._request)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)

    def fileno(self) -> int:
        """A descriptor that is readable when a signal has come."""
        return self._reading.fileno()

    def _request(self, number: int, frame: object) -> None:
        self.requested = True


def end_with_parent() -> None:
    """Have this process killed when its parent ends. To be called from the main thread; raises OSError."""
    parent = os.getppid()
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        os._exit(1)
