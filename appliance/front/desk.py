"""One pool at work in the front: the decisions of `pool.Pool` carried out on real connections.

Handlers bring calls; the desk gives each a slot's connection, tells the supervisor when more processes would
help or one is idle, and follows what the supervisor says about processes. A front that leaves gives its slots
back here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from appliance.config import PoolDefinition
from appliance.front.health import Health
from appliance.front.remote import Remote, place, target
from appliance.front.watchdog import Watchdog
from appliance.gateway.failure import Failure, Stage
from appliance.gateway.parties import DISCARD_SECONDS, Timeouts
from appliance.gateway.upstream import Upstream
from appliance.gateway.wire import WIRES
from appliance.handlers import waiting
from appliance.handlers.exchange import Log
from appliance.http.loop import Loop
from appliance.pool.pool import Pool, QueueFull, Returned, Slot, State, Waiter

TICK = 0.1  # seconds between looks at the queue while somebody waits
DOUBT = 0.05  # seconds without a request for a process that broke a connection
UNREACHABLE = 0.3  # seconds until a process that could not be connected to is taken for one that never will
IDLE_TICK = 1.0  # seconds between looks for idle processes
_UNREACHABLE_ERRORS = frozenset((errno.ENOENT, errno.ECONNREFUSED))


class Desk:
    """See the module's text."""

    def __init__(
        self,
        definition: PoolDefinition,
        loop: Loop,
        log: Log,
        notify: Callable[[dict[str, Any]], None],
        address: str = "",
        process: str = "",
        upstream: type[Upstream] = Upstream,
    ) -> None:
        """`notify` sends a message to the supervisor, `upstream` makes connections.

        A host that we do not start is at `address` ("unix:/path" or "host:port"; "": it will `settle`), and
        `process` is its name.
        """
        self._upstream = upstream
        self.definition = definition
        self._loop = loop
        self._log = log
        self._notify = notify
        self._wire = WIRES[definition.protocol]
        self._timeouts = Timeouts(
            definition.connect_timeout,
            definition.write_timeout,
            definition.read_timeout,
            # A request nobody wants any more is given up by request-timeout, which knows what to do about it.
            DISCARD_SECONDS + definition.request_timeout,
        )
        self._ticking = False
        self._draining = False
        self._failing = ""  # why processes do not come up, while they do not
        self._doubted: set[str] = set()  # processes that could not be connected to a moment ago
        self.requests = 0  # answered or failed
        self.pool = Pool(definition, self._retired, self._released, self._worn)
        if definition.request_timeout:
            Watchdog(self, loop, self._tell)
        self.address = address or place(definition)  # what hashes and messages know the host by
        self.remote: Remote | None = None  # a host that we do not start
        self.wary = definition.recycles  # of kept connections, where a request cannot go out again
        self._fresh: set[str] = set()  # processes without an answer so far, where that matters
        self.waiting_page = waiting.load(definition.waiting_page, definition.name, log)
        if definition.command:
            self._watch_idle()
        else:
            self.remote = Remote(definition, self.pool, loop, log, self.address)
            if address:
                self.remote.up(process or definition.name, address)

    @property
    def health(self) -> Health | None:
        """Whether a host that we do not start can be reached."""
        return self.remote.health if self.remote is not None else None

    # Calls

    def enter(self, call: Waiter) -> None:
        """Serve a call: at once, or when a slot is free. Its `granted`, `expired` or `refused` is called,
        once.
        """
        now = self._loop.now()
        if (self._failing or not self.definition.command) and not self.pool.usable(now):
            call.refused(self._failing or (self.remote.health.down if self.remote is not None else ""))
            return
        try:
            slot = self.pool.acquire(call, now)
        except QueueFull as error:
            call.refused(str(error))
            return
        if slot is not None:
            call.granted(slot)
            return
        self._grow()
        self._tick_while_waiting()

    def leave(self, call: Waiter) -> bool:
        """A waiting call will never run, for its client has gone. False if it does not wait."""
        return self.pool.leave(call)

    @property
    def is_starting(self) -> bool:
        """Whether no process has answered a request yet: there is none, or it may still be loading."""
        return self._fresh >= self.pool.processes.keys()

    def renew(self, slot: Slot) -> None:
        """A kept connection may end before the application has read from it: this request gets a new one."""
        if isinstance(slot.connection, Upstream):
            slot.connection.close()
            slot.connection = None

    def connection(self, slot: Slot) -> Upstream:
        """The slot's connection, kept or new."""
        upstream = slot.connection
        if not isinstance(upstream, Upstream):
            address = slot.process.address
            upstream = self._upstream(
                self._loop,
                self,
                self._wire,
                target(address),
                self._timeouts,
                keep=slot.process.keeps > 0 and self.definition.protocol == "fastcgi",
            )
            upstream.slot = slot
            slot.connection = upstream
            if self.remote is not None:
                self.remote.connecting(slot, upstream)
        return upstream

    def release(self, slot: Slot, reusable: bool) -> None:
        """The call is over and its connection is idle (reusable) or closed."""
        self.requests += 1
        if self.remote is not None:
            self.remote.reached()
        elif self._fresh:
            self._fresh.discard(slot.process.name)
        upstream = slot.connection
        if (
            not self.pool.release(slot, self._loop.now(), reusable)
            and reusable
            and isinstance(upstream, Upstream)
        ):
            upstream.close()  # the process retires, or this front leaves

    def broke(self, slot: Slot, failure: Failure | None) -> None:
        """The call's connection failed: the process gets no request for a moment.

        A dying process accepts connections until the kernel has closed its socket, and what was sent on one
        is lost. Whether it died we hear from the supervisor, within milliseconds. No `failure`: it is we who
        could make no sense of the answer. Where we gave up the application may work on: then it is asked
        last.
        """
        now = self._loop.now()
        if failure is not None and failure.stage is Stage.CONNECTING:
            if failure.timeout:
                slot.process.counts.overloaded += 1
            elif self.remote is not None:
                slot.process.counts.died += 1
            if self.remote is not None:
                self.remote.unreachable(failure)
            else:
                self.pool.fail(slot.process.name, now)
                if failure.error in _UNREACHABLE_ERRORS:
                    self._doubt(slot.process.name, failure.reason)
        elif self.remote is not None:
            self.remote.reached()
        else:
            self.pool.rest(slot.process.name, now + DOUBT)
        self.requests += 1
        busy = failure is None or (failure.timeout and failure.accepted)
        self.pool.release(slot, now, keep=False, suspect=busy)

    def _doubt(self, name: str, reason: str) -> None:
        if name not in self._doubted:
            self._doubted.add(name)
            self._loop.call_later(UNREACHABLE, lambda: self._look_again(name, reason))

    def _look_again(self, name: str, reason: str) -> None:
        """A process that is alive and has lost its socket will never be reached again."""
        self._doubted.discard(name)
        process = self.pool.processes.get(name)
        if process is not None and not process.retiring:
            self._tell("unreachable", name, reason=reason)

    def abandon(self, slot: Slot) -> None:
        """The client of a running call has gone."""
        upstream = slot.connection
        if slot.state is State.BUSY and isinstance(upstream, Upstream):
            self.pool.abandon(slot)
            upstream.abandon()

    # The connections' owner

    def lost(self, upstream: Upstream) -> None:
        """A kept connection was closed by the application."""
        slot = upstream.slot
        assert isinstance(slot, Slot)
        self.pool.connection_lost(slot)

    def discarded(self, upstream: Upstream, complete: bool) -> None:
        """An abandoned request is over."""
        slot = upstream.slot
        assert isinstance(slot, Slot)
        self.requests += 1
        if complete:
            self._fresh.discard(slot.process.name)
        self.pool.release(slot, self._loop.now(), keep=False, suspect=not complete)

    def delayed(self, upstream: Upstream) -> None:
        """Connecting took a moment: of interest only to whoever looks for a fault."""
        slot = upstream.slot
        assert isinstance(slot, Slot)
        self._log.debug(
            f"{slot.process.name}: connecting to {slot.process.address} was delayed, it succeeded"
        )

    def complain(self, text: str) -> None:
        """An internal error."""
        self._log.error(text)

    # A host whose address is looked up

    def expect(self) -> None:
        """Its address will be known in a moment: requests wait."""
        self.pool.asked(1)

    def settle(self, address: str, process: str) -> None:
        """This is its address; `process` is its name from now on."""
        self.address = address
        self._failing = ""
        if self.remote is not None:
            self.remote.up(process, address)

    def unresolved(self, reason: str, advice: str) -> None:
        """It has no address, for now."""
        if self.health is not None:
            self.health.failed(reason, advice, self._loop.now())
        self.state("failing", reason)

    def dissolve(self, reason: str) -> None:
        """It is no host of ours any more: what runs there may end, what waits goes elsewhere."""
        self._failing = reason
        if self.remote is not None:
            self.remote.stop()
        for name in list(self.pool.processes):
            self.retire(name)
        for call in self.pool.dismiss():
            call.refused(reason)

    # What the supervisor says

    def process_up(
        self, name: str, address: str, slots: int | None, suspect: int, pid: int, served: int
    ) -> None:
        """A process is up and `slots` of it are ours; it has had `served` requests from other fronts."""
        self._failing = ""
        if self.waiting_page is not None:
            self._fresh.intersection_update(self.pool.processes)
            self._fresh.add(name)
        self.pool.process_up(name, address, slots, suspect, self._loop.now(), pid, served)

    def used(self, name: str, requests: int) -> None:
        """Another front has given it so many requests."""
        self.pool.used(name, requests)

    def lease(self, name: str, slots: int, suspect: int) -> None:
        """Slots that another front gave back are ours now."""
        self.pool.lease(name, slots, suspect, self._loop.now())

    def gone(self, name: str) -> None:
        """A process died. Connections with a request notice it themselves; idle ones are closed here."""
        for slot in self.pool.process_gone(name):
            upstream = slot.connection
            if isinstance(upstream, Upstream) and slot.state is State.KEPT:
                upstream.close()

    def retire(self, name: str) -> None:
        """A process is to end: no further request for it."""
        for slot in self.pool.retire(name):
            if isinstance(slot.connection, Upstream):
                slot.connection.close()

    def state(self, state: str, reason: str) -> None:
        """How the pool does as a whole."""
        self._failing = reason or state if state in ("failing", "stopped") else ""
        if self._failing:
            self.pool.not_coming()
            if not self.pool.usable(self._loop.now()):
                for call in self.pool.dismiss():
                    call.refused(self._failing)

    def drain(self, spare: int) -> None:
        """This front leaves; `spare` requests are still on their way in and may need a slot."""
        self._draining = True
        if self.remote is not None:
            self.remote.stop()
        for returned in self.pool.drain(spare):
            self._released(returned)

    def status(self) -> dict[str, Any]:
        """For `fcgibox status`."""
        return {
            "requests": self.requests,
            "waiting": self.pool.waiting,
            "processes": {name: process.load for name, process in self.pool.processes.items()},
            "taken": {name: process.requests for name, process in self.pool.processes.items()},
            "down": [self.health.down] if self.health is not None and self.health.down else [],
        }

    def _worn(self, name: str, spent: bool) -> None:
        """It has had (nearly) all its requests."""
        if spent:
            self.retire(name)
            self._tell("spent", name)
        else:
            reason = f"it has had nearly all of its {self.definition.max_requests} requests"
            self._tell("recycle", name, reason=reason)

    def _tell_requests(self) -> None:
        for name, count in self.pool.untold():
            self._tell("served", name, n=count)

    def _released(self, returned: Returned) -> None:
        self._tell_requests()
        for upstream in returned.connections:
            if isinstance(upstream, Upstream):
                upstream.close()
        if self.definition.spawned:
            self._tell("release", returned.process, slots=returned.slots)

    def _retired(self, name: str) -> None:
        if self.definition.spawned:
            self._tell("retired", name)

    def _tell(self, kind: str, process: str, **more: Any) -> None:
        self._notify({"type": kind, "pool": self.definition.name, "process": process, **more})

    # Time

    def _grow(self) -> None:
        wanted = self.pool.wants()
        if wanted:
            self.pool.asked(wanted)
            self._notify({"type": "want", "pool": self.definition.name, "n": wanted})

    def _tick_while_waiting(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        self.pool.expire(self._loop.now())
        if self._draining and not any(p.size or not p.capped for p in self.pool.processes.values()):
            # Our last process died, and what follows it belongs to the next front: an answer, not a silence.
            for call in self.pool.dismiss():
                call.refused("this front is leaving, and no process is left for it")
        if self.pool.waiting:
            self._grow()
            self._tick_while_waiting()

    def _watch_idle(self) -> None:
        for name in self.pool.idle(self._loop.now()):
            self._tell("idle", name)
        self._tell_requests()
        self._loop.call_later(IDLE_TICK, self._watch_idle)
