"""A host that we do not start: when it is out, who finds out that it is back, and what is said about it.

A host that cannot be connected to is out for disable-time. Then one request tries it while the others pass it
by, so that a silent machine costs one client in disable-time a wait, and not everybody. With a `check` no
client ever has to try: the host is out until it has answered one.
"""

from __future__ import annotations

import math

from appliance.config import PoolDefinition
from appliance.front.check import Check
from appliance.front.health import Health
from appliance.gateway.failure import Failure
from appliance.gateway.upstream import Upstream
from appliance.handlers.exchange import Log
from appliance.http.loop import Loop
from appliance.pool.pool import Pool, Slot

LOOK = 0.1  # seconds between looks whether a host that is tried has been reached
PATIENCE = 8.0  # seconds for a host to come back, where connect-timeout sets no limit
MISSES = 2  # checks in a row without a good answer that make a host be out


class Remote:
    """See the module's text."""

    def __init__(self, definition: PoolDefinition, pool: Pool, loop: Loop, log: Log, address: str) -> None:
        """`address` is "unix:/path" or "host:port", for messages; the host is there once it is `up`."""
        self.definition = definition
        self.health = Health(definition, address, log)
        self._pool = pool
        self._loop = loop
        self._log = log
        self._process = ""
        self._check: Check | None = None
        self._misses = 0

    def up(self, process: str, address: str) -> None:
        """It is at `address`; `process` is its name in the pool."""
        now = self._loop.now()
        self._process = process
        self.health.answers(now)
        self.health.address = address
        self._pool.process_up(process, address, self.definition.slots, 0, now)
        if self.definition.check:
            self._check = Check(self.definition, target(address), self._loop, self._log)
            self._check.report = self._checked
            self._check.within(0.0)

    def stop(self) -> None:
        """It is no host any more, or this front leaves."""
        if self._check is not None:
            self._check.stop()

    def connecting(self, slot: Slot, upstream: Upstream) -> None:
        """A request connects to it. If it was out, the others wait for what comes of that."""
        if not self.health.down:
            return
        self._pool.rest(self._process, self._loop.now() + (self.definition.connect_timeout or PATIENCE))

        def look() -> None:
            if upstream.is_reached:
                self.reached()
            elif slot.connection is upstream:
                self._loop.call_later(LOOK, look)

        self._loop.call_later(LOOK, look)

    def reached(self) -> None:
        """A connection to it was made. Where it is checked, only a check says that it is well."""
        if self.health.down and self._check is None:
            self._back()

    def unreachable(self, failure: Failure) -> None:
        """Connecting failed."""
        now = self._loop.now()
        if self._check is not None:
            self._pool.rest(self._process, math.inf)
            self._check.within(self._pause)
        else:
            self._pool.fail(self._process, now)
        self.health.unreachable(failure, now)

    def _back(self) -> None:
        now = self._loop.now()
        self.health.answers(now)
        self._pool.revive(self._process, now)

    @property
    def _pause(self) -> float:
        """Seconds between checks while it is out."""
        return float(min(max(self.definition.disable_time, 1), self.definition.check_interval))

    def _checked(self, reason: str) -> None:
        """A check has a result: "" or what is wrong."""
        check = self._check
        if check is None:
            return
        if not reason:
            self._misses = 0
            if self.health.down:
                self._back()
            return
        self._misses += 1
        check.within(self._pause)
        if self._misses >= MISSES:
            self._pool.rest(self._process, math.inf)
            what = f'the check "{self.definition.check}" failed {MISSES} times ({reason})'
            advice = "it gets no requests until a check succeeds: what it has against that is in its own log"
            self.health.failed(what, advice, self._loop.now())


def join(host: str, port: int) -> str:
    """An address as it is written: "10.0.0.1:9000", "[::1]:9000"."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def place(definition: PoolDefinition) -> str:
    """Where an application is that we do not start, as the configuration says it."""
    if definition.socket:
        return f"unix:{definition.socket}"
    return join(definition.host or "127.0.0.1", definition.port)


def target(address: str) -> str | tuple[str, int]:
    """What to connect to: the path of a socket, or a host and a port."""
    if address.startswith("unix:"):
        return address[5:]
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
