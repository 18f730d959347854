"""Application processes: a backlog, children that serve one connection at a time, and sudden death."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import ECONNREFUSED, ECONNRESET
from typing import TYPE_CHECKING, cast

from appliance.gateway.failure import Failure, Stage
from appliance.gateway.parties import DISCARD_SECONDS, Owner, Receiver, Timeouts
from appliance.gateway.records import RESPONDER
from appliance.gateway.upstream import Upstream
from appliance.gateway.wire import WIRES
from appliance.http import loop as front_loop
from appliance.http.spool import Spool
from tests.simulation.clock import Clock, Loop, Timer
from tests.simulation.rules import check_connections

if TYPE_CHECKING:
    from tests.simulation.world import World

ANSWER = b"Content-Type: text/plain\r\n\r\n"


class Backend:
    """One process with so many children (None: a thread for each connection)."""

    def __init__(self, world: World, name: str, pid: int, children: int | None) -> None:
        self.world = world
        self.name = name
        self.pid = pid
        self.children = children
        self.alive = True
        self.backlog: deque[Connection] = deque()
        self.served: set[Connection] = set()  # each holds a child

    @property
    def open(self) -> int:
        """Connections that a front has open."""
        return sum(not connection.closed for connection in (*self.backlog, *self.served))

    def accept(self) -> None:
        """A child that is free takes the next connection; one that was closed meanwhile costs nothing."""
        while self.backlog and (self.children is None or len(self.served) < self.children):
            connection = self.backlog.popleft()
            if not connection.closed or connection.request is not None:
                self.served.add(connection)
                connection.serve()

    def die(self) -> None:
        self.alive = False
        for connection in (*self.backlog, *self.served):
            connection.reset()
        self.backlog.clear()
        self.served.clear()


class Connection(Upstream):
    """The front's end and the application's end of one connection, in place of a socket."""

    __slots__ = (
        "_asked",
        "_discarding",
        "_limit",
        "_queued",
        "_reached",
        "_timer",
        "_times",
        "backend",
        "clock",
        "closed",
        "owner",
        "receiver",
        "request",
        "world",
    )

    def __init__(
        self, world: World, loop: Loop, owner: Owner, backend: Backend, limits: Timeouts, keep: bool
    ):
        super().__init__(
            cast(front_loop.Loop, loop), owner, WIRES["fastcgi"], f"/{backend.name}", limits, keep
        )
        self.world = world
        self.clock: Clock = world.clock
        self.owner = owner
        self.backend = backend
        self.closed = True  # as the front sees it
        self.receiver: Receiver | None = None
        self.request: str | None = None  # that the application has and has not answered
        self._limit = limits.read
        self._times = 0
        self._reached = False
        self._asked = False
        self._queued = False
        self._discarding = False
        self._timer: Timer | None = None

    # The front's side

    def ask(self, receiver: Receiver, parameters: bytes, body: Spool | None, role: int = RESPONDER) -> None:
        self.receiver = receiver
        self._asked = True
        request = parameters.decode()
        self.world.sent(request)
        if self._reached:
            assert not self.closed, "asked on a closed connection"
            self._later(self._arrive, request)
        else:
            self.closed = False
            self._later(self._reach, request)
        if self._limit:
            self._timer = self.clock.at(self.clock.time + self._limit, self._too_long)

    def _later(self, what: Callable[[str], None], request: str) -> None:
        self.clock.at(self.clock.time + self.world.random.random() * 0.002, lambda: what(request))

    def _reach(self, request: str) -> None:
        if self.closed or not self._asked:
            return
        if not self.backend.alive:
            self._fail_with(Failure(Stage.CONNECTING, "refused", ECONNREFUSED, False, False, False, False))
            return
        self._reached = True
        self._queued = True
        self.request = request
        self.backend.backlog.append(self)
        check_connections(self.backend)
        self.backend.accept()

    def _arrive(self, request: str) -> None:
        if self.closed:
            return
        if not self.backend.alive:
            # The other end is gone: it was reset while this was on its way.
            failure = Failure(Stage.SENDING, "reset", ECONNRESET, False, True, False, self._times > 0)
            self._fail_with(failure)
            return
        self.request = request
        self.serve()

    def _fail_with(self, failure: Failure) -> None:
        receiver, self.receiver = self.receiver, None
        discarding = self._discarding
        self.close()
        if discarding:
            self.owner.discarded(self, False)
        elif receiver is not None:
            receiver.broken(failure)

    def _too_long(self) -> None:
        if self._asked and not self.closed:
            stage = Stage.WAITING if self._reached else Stage.CONNECTING
            self._fail_with(Failure(stage, "timeout", 0, True, self._reached, False, self._times > 0))

    def abandon(self) -> None:
        self.receiver = None
        if self._timer is not None:
            self._timer.cancel()
        if not self._reached:
            self.close()
            self.owner.discarded(self, False)
            return
        self._discarding = True
        self._timer = self.clock.at(self.clock.time + DISCARD_SECONDS, self._discard_too_long)

    def _discard_too_long(self) -> None:
        if self._discarding and not self.closed:
            self.close()
            self.owner.discarded(self, False)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._asked = False
        if self._timer is not None:
            self._timer.cancel()
        if self.request is None and self in self.backend.served:
            self.backend.served.discard(self)
            self.backend.accept()

    # The application's side

    def serve(self) -> None:
        """A child reads the request and works on it."""
        self._queued = False
        if self.request is None:
            return
        self.world.runs(self.request, self.backend)
        seconds = self.world.duration()
        self.clock.at(self.clock.time + seconds, self._worked)

    def _worked(self) -> None:
        if not self.backend.alive:
            return
        request, self.request = self.request, None
        if self.closed or request is None:
            self.backend.served.discard(self)
            self.backend.accept()
            return
        keep = self.keep and not self.world.closes_early()
        if not keep:
            self.backend.served.discard(self)
            self.backend.accept()
        self.clock.at(self.clock.time + self.world.random.random() * 0.002, lambda: self._delivered(keep))

    def _delivered(self, keep: bool) -> None:
        """The answer has arrived at the front, whatever happened to the process meanwhile."""
        if self.closed or not self._asked:
            return
        self._asked = False
        self._times += 1
        if self._timer is not None:
            self._timer.cancel()
        if self._discarding:
            self.close()
            self.owner.discarded(self, True)
            return
        receiver, self.receiver = self.receiver, None
        assert receiver is not None
        receiver.received([ANSWER + b"%d" % self.backend.pid])
        if not keep or not self.backend.alive:
            keep = False
            self.close()
        receiver.completed(keep)

    def reset(self) -> None:
        """The process has died; the front hears of it a moment later."""
        self.request = None
        self.clock.at(self.clock.time + self.world.random.random() * 0.002, self._broken)

    def _broken(self) -> None:
        if self.closed:
            return
        if self._asked:
            failure = Failure(Stage.WAITING, "closed", 0, False, True, False, self._times > 0)
            self._fail_with(failure)
        else:
            self.close()
            self.owner.lost(self)
