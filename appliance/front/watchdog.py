"""request-timeout: the request that takes too long is answered with 504, and whoever works on it is ended.

It looks once a second at what is at work, so a request costs nothing more than without it, and gets up to a
second more than it should. Requests are told apart by their connection and how many that one has served: a
slot may have had another one between two looks. A request that waits for its slow client is not the
application's fault: its time does not run.

The supervisor ends processes, we only say which; see `supervisor.stuck`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from appliance.config import PoolDefinition
from appliance.gateway.upstream import Upstream
from appliance.http.loop import Loop
from appliance.pool.pool import Pool, Process, Slot
from appliance.supervisor.peers import peer_inode

LOOK = 1.0  # seconds


class Desk(Protocol):
    """What it watches; see `front.desk`."""

    definition: PoolDefinition
    pool: Pool

    def retire(self, name: str) -> None: ...


class Watchdog:
    """Watches one pool for as long as the front lives."""

    def __init__(self, desk: Desk, loop: Loop, tell: Callable[..., None]) -> None:
        """`tell(kind, process, …)` speaks to the supervisor."""
        self._desk = desk
        self._loop = loop
        self._tell = tell
        self._seen: dict[Slot, tuple[Upstream, int, float]] = {}
        loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self._loop.call_later(LOOK, self._look)
        now = self._loop.now()
        limit = self._desk.definition.request_timeout
        seen, self._seen = self._seen, {}
        overdue = []
        for process in self._desk.pool.processes.values():
            for slot in process.in_use:
                upstream = slot.connection
                if not isinstance(upstream, Upstream) or upstream.fileno() < 0:
                    continue  # none, or it has become a tunnel (upgrade)
                before = seen.get(slot)
                since = now
                if before is not None and before[:2] == (upstream, upstream.served):
                    since = now if upstream.paused else before[2]
                if now - since < limit:
                    self._seen[slot] = upstream, upstream.served, since
                else:
                    overdue.append((process, slot, upstream, now - since))
        for process, slot, upstream, seconds in overdue:
            if slot in process.in_use:
                self._end(process, slot, upstream, seconds)

    def _end(self, process: Process, slot: Slot, upstream: Upstream, seconds: float) -> None:
        limit = self._desk.definition.request_timeout
        reason = f"{upstream.asked()} has taken {seconds:.0f} s (request-timeout = {limit})"
        if self._desk.definition.command:
            self._order_end(process, slot, upstream, reason)
        upstream.give_up(f"it has taken {seconds:.0f} s (request-timeout = {limit})")

    def _order_end(self, process: Process, slot: Slot, upstream: Upstream, reason: str) -> None:
        if self._desk.definition.slots == 1:
            # It can do nothing else, so all of it is ended, and takes no other request until it is dead.
            self._tell("kill", process.name, reason=reason)
            self._desk.retire(process.name)
            return
        others = [other.connection for other in process.in_use if other is not slot]
        shared = any(isinstance(other, Upstream) and _accepted(other) for other in others)
        self._tell("kill", process.name, reason=reason, shared=shared, **_serving(upstream))


def _serving(upstream: Upstream) -> dict[str, Any]:
    port = upstream.local_port
    return {"inode": peer_inode(upstream.fileno())} if port is None else {"port": port}


def _accepted(upstream: Upstream) -> bool:
    # Over TCP the kernel does not tell: better one process too many alive than requests lost.
    return upstream.local_port is not None or bool(peer_inode(upstream.fileno()))
