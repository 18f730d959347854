"""A front process of the simulation, and its clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from appliance.config import PoolDefinition
from appliance.front import desk as front_desk
from appliance.front.dispatch import Dispatch
from appliance.front.groups import Group
from appliance.gateway.upstream import Upstream
from appliance.handlers.call import Call
from appliance.http import loop as front_loop
from appliance.http.response import Response
from appliance.http.spool import Spool
from appliance.pool.slots import Slot
from appliance.supervisor.channel import Message
from appliance.supervisor.front import Front
from tests.simulation.backend import Connection
from tests.simulation.clock import Line, Loop

if TYPE_CHECKING:
    from tests.simulation.world import World

DRAIN_LIMIT = 30.0


class Desk(front_desk.Desk):
    """The real one on simulated connections."""

    def __init__(self, world: World, front: SimulatedFront) -> None:
        self.world = world
        self.front = front
        super().__init__(world.definition, cast(front_loop.Loop, front.loop), world.log, front.tell)

    def connection(self, slot: Slot) -> Upstream:
        upstream = slot.connection
        if not isinstance(upstream, Upstream):
            backend = self.world.backends[slot.process.name]
            made = Connection(self.world, self.front.loop, self, backend, self._timeouts, slot.process.capped)
            made.slot = slot
            slot.connection = made
            self.front.connections.append(made)
            return made
        return upstream


class Exchange:
    """A client's request as `Call` sees it."""

    def __init__(self, world: World, front: SimulatedFront, name: str, method: str) -> None:
        self.world = world
        self.front = front
        self.name = name
        self.method = method
        self.shown = name
        self.environment: dict[str, str] = {}
        self.request = self
        self.on_gone: Callable[[], None] | None = None
        self.status = 0  # 0: waits; 499: the client left; 599: its front died
        self.begun = world.clock.time

    def receive_body(self, done: Callable[[Spool], None]) -> None:
        done(Spool("/nowhere"))

    def respond(self, response: Response) -> None:
        if self.status == 0:
            self.end(response.status)

    def end(self, status: int) -> None:
        self.status = status
        self.front.exchanges.discard(self)
        self.world.note(f"{self.name} ends with {status}")

    def leave(self) -> None:
        """The client goes."""
        if self.status == 0:
            self.end(499)
            self.world.left.add(self.name)
            on_gone, self.on_gone = self.on_gone, None
            if on_gone is not None:
                on_gone()

    # What `Call` wants of a host: parameters that name the request.

    def encode(self, *_: object) -> bytes:
        return self.name.encode()


class SimulatedFront:
    """One front process."""

    def __init__(self, world: World, generation: int) -> None:
        self.world = world
        self.loop = Loop(world.clock)
        self.exchanges: set[Exchange] = set()
        self.connections: list[Connection] = []
        self.up = Line(world.clock, world.delay)
        self.down = Line(world.clock, world.delay)
        self.leaving = False
        self.record = Front(
            generation, generation, cast(Any, world), cast(Any, None), cast(Any, None), world.clock.time,
            lambda: None, lambda reason: None,
        )  # fmt: skip
        self.desk = Desk(world, self)
        self.dispatch = Dispatch({world.definition.name: Group(self.desk)}, world.log)

    def tell(self, message: Message) -> None:
        """To the supervisor."""
        if self.loop.alive:
            self.up.send(lambda: self.world.told(self, message))

    def hear(self, message: Message) -> None:
        """From the supervisor."""
        self.world.note(f"front-{self.record.generation} hears {message}")
        if message["type"] == "drain":
            self.leave(self.world.clock.time + DRAIN_LIMIT)
        else:
            self.dispatch.told(message)

    def begin(self, name: str, method: str) -> Exchange:
        """A request arrives."""
        exchange = Exchange(self.world, self, name, method)
        self.exchanges.add(exchange)
        host = cast(Any, _Host(self.world.definition, self.desk, exchange))
        Call(cast(Any, exchange), cast(Any, self.world), host, cast(Any, None)).begin()
        return exchange

    def leave(self, until: float) -> None:
        """As `front.server` does it."""
        self.leaving = True
        self.dispatch.drain(0)
        if self.exchanges and self.world.clock.time < until:
            self.loop.call_later(0.1, lambda: self.leave(until))
            return
        for exchange in list(self.exchanges):
            exchange.leave()
        self.dispatch.drain(0)
        self.tell({"type": "drained"})
        self.world.front_ended(self)

    def die(self) -> None:
        """All its connections end; its clients see it."""
        self.loop.alive = False
        for exchange in list(self.exchanges):
            exchange.end(599)
        for connection in self.connections:
            connection.close()


class _Host:
    """A host of a rule, for one request."""

    def __init__(self, definition: PoolDefinition, desk: Desk, parameters: Exchange) -> None:
        self.definition = definition
        self.desk = desk
        self.parameters = parameters
