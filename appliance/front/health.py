"""Whether a host that we do not start can be reached: what was said about it, and who has to know.

Decides nothing about requests: the pool gives it none for disable-time. Here an outage gets its beginning and
its end, each told once, with what an admin can do about it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from appliance.config import PoolDefinition
from appliance.gateway.failure import Failure
from appliance.handlers.exchange import Log

_NETWORK = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN))


class Health:
    """One host; `down` says why it cannot be reached, "" while it can."""

    def __init__(self, definition: PoolDefinition, address: str, log: Log) -> None:
        """`address` is "unix:/path" or "host:port"."""
        self.name = definition.name
        self.address = address
        self.down = ""
        self._definition = definition
        self._log = log
        self._since = 0.0
        self._observers: list[Callable[[], None]] = []

    def tell(self, observer: Callable[[], None]) -> None:
        """Call `observer` when an outage begins and when it ends."""
        self._observers.append(observer)

    def unreachable(self, failure: Failure, now: float) -> None:
        """Connecting failed."""
        number = f", errno {failure.error}" if failure.error else ""
        pause = f"it is tried again after disable-time = {self._definition.disable_time} s"
        self.failed(f"{failure.reason}{number}", f"{self._advice(failure)}; {pause}", now)

    def failed(self, reason: str, advice: str, now: float) -> None:
        """It is out; told only if it was not out before."""
        if self.down:
            return
        self.down = f"{self.address} is down: {reason}"
        self._since = now
        self._log.warning(f"{self.name}: {self.down}; {advice}")
        self._tell()

    def answers(self, now: float) -> None:
        """It has been reached."""
        if not self.down:
            return
        self.down = ""
        self._log.info(f"{self.name}: {self.address} is back after {now - self._since:.0f} s")
        self._tell()

    def _tell(self) -> None:
        for observer in self._observers:
            observer()

    def _advice(self, failure: Failure) -> str:
        """What is missing, and how to mend it."""
        definition = self._definition
        number, where = failure.error, definition.position
        unix = self.address.startswith("unix:")
        if failure.timeout:
            limit = f"connect-timeout = {definition.connect_timeout} s"
            if unix:
                return f"its backlog stayed full for {limit}: it accepts too slowly, or not any more"
            return f"nothing answered within {limit}: is the machine up, does a firewall drop packets to it?"
        if number == errno.ECONNREFUSED:
            left = "; the socket was left behind by one that ended" if unix else ""
            return f"nothing listens there{left}: start the application, or mend the address ({where})"
        if number == errno.ENOENT:
            return f"there is no such socket: start the application, or mend the path ({where})"
        if number in (errno.EACCES, errno.EPERM):
            return "the front's user may not connect: give it the right to write to the socket"
        if number == errno.EAGAIN:
            return "its backlog is full: the application accepts connections too slowly, or not any more"
        if number in _NETWORK:
            return "there is no way to that machine: look at its network, its route and its name"
        return f"start the application, or mend the address ({where})"
