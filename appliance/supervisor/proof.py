"""Whether a new process serves: it accepts a connection, before it takes the place of one that works.

Its listening socket is ours from the start, so connecting proves nothing. We connect and end our side at
once, as a client does that changes its mind: a program that has come up accepts, sees the end, and closes.
One that accepts and does not mind the end is seen by the kernel's word that the connection was accepted.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from appliance.supervisor.loop import READ, Loop, Timer
from appliance.supervisor.peers import peer_inode

LIMIT = 60.0
"""Seconds that a program may take until it accepts."""
_LOOK = 0.5


class Proof:
    """One attempt. `proven()` or `failed(reason)` is called once, unless `cancel` comes before."""

    def __init__(
        self, loop: Loop, address: str, proven: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        """`address` is "unix:/path" or "host:port"."""
        self._loop = loop
        self._proven = proven
        self._failed = failed
        self._ends = loop.now() + LIMIT
        self._unix = address.startswith("unix:")
        self._socket = socket.socket(
            socket.AF_UNIX if self._unix else socket.AF_INET6 if address.count(":") > 1 else socket.AF_INET
        )
        host, _, port = address.rpartition(":")
        try:
            # Our own listener, on this machine, with an empty backlog: this does not wait.
            self._socket.settimeout(1.0)
            self._socket.connect(port if self._unix else (host, int(port)))
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.setblocking(False)
        except OSError as error:
            reason = f"it cannot be connected to: {error.strerror or error}"
            self._timer: Timer = loop.call_later(0, lambda: self._fail(reason))
            return
        self._loop.watch(self._socket.fileno(), READ, self._readable)
        self._timer = loop.call_later(_LOOK, self._look)

    def cancel(self) -> None:
        """It is not wanted any more, or the process is dead."""
        self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        try:
            self._socket.recv(1)
        except OSError:
            # A reset: the listener was closed, so the process is about to be dead, and will be told as that.
            self._loop.forget(self._socket.fileno())
            return
        self._succeed()

    def _succeed(self) -> None:
        self.cancel()
        self._proven()

    def _look(self) -> None:
        if self._unix and peer_inode(self._socket.fileno()):
            self._succeed()
        elif self._loop.now() < self._ends:
            self._timer = self._loop.call_later(_LOOK, self._look)
        else:
            self._fail(f"it has accepted no connection within {LIMIT:g} s")

    def _fail(self, reason: str) -> None:
        self.cancel()
        self._failed(reason)
