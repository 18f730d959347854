"""One schedule: a pool with fronts, an administrator, clients and accidents, all from one seed."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

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
from appliance.pool.slots import State as SlotState
from appliance.supervisor import applications, loop, pool
from appliance.supervisor.channel import Message
from appliance.supervisor.conversation import Conversation
from appliance.supervisor.front import Front
from appliance.supervisor.identity import current
from appliance.supervisor.stuck import Stuck
from tests.simulation.backend import Backend, Connection
from tests.simulation.clock import Clock, Line, Loop

DRAIN_LIMIT = 30.0
DELAYS = (0.0, 0.001, 0.02, 0.5)


class Broken(AssertionError):
    """A rule does not hold."""


class Log:
    """Both logs, for a failing seed."""

    def __init__(self, world: World) -> None:
        self.world = world

    def debug(self, text: str) -> None: ...

    def info(self, text: str) -> None:
        self.world.note(text)

    def warning(self, text: str) -> None:
        self.world.note(text)

    def error(self, text: str) -> None:
        self.world.note(text)

    def traced(self, text: str) -> None: ...

    def write(self, level: str, who: str, text: str) -> None:
        self.world.note(f"{who}: {text}")


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


class _Output:
    """Of an application: it says nothing."""

    last: tuple[str, ...] = ()

    def read(self) -> bool:
        return False


class Applications(applications.Applications):
    """The real shell, where it starts and ends processes of the simulation."""

    def __init__(self, world: World, around: applications.Surroundings) -> None:
        self.world = world
        super().__init__(world.definition, current(), current(), around)

    def _start(self, process: str) -> None:
        world = self.world
        self.processes[process] = applications.Application(
            process, f"unix:/{process}", f"/{process}", cast(Any, _Output()), world.clock.time
        )
        if world.random.random() < 0.5:
            self._comes(process)
        else:
            world.clock.at(world.clock.time + world.random.random() * 0.5, lambda: self._comes(process))

    def _comes(self, process: str) -> None:
        world = self.world
        if process not in self.processes:
            return
        if world.clock.time < world.broken_until:
            if world.random.random() < 0.5:
                self._not_started(process, "it is broken", ())
                return
            world.clock.at(world.clock.time + world.random.random(), lambda: world.kill(process))
        world.spawn(process)
        self.processes[process].pid = world.backends[process].pid
        if self.policy.states().get(process) is pool.State.ENDING:
            self._end(process, urgent=False)
            return
        self.policy.up(process, world.clock.time)
        self._act()

    def _prove(self, process: str) -> None:
        world = self.world
        fails = not world.calm and world.random.random() < 0.1

        def proved() -> None:
            if process in self.processes:
                if fails:
                    self.policy.unproven(process, "it does not answer")
                else:
                    self.policy.proven(process, world.clock.time)
                self._act()

        world.clock.at(world.clock.time + world.random.random() * 0.3, proved)

    def _end(self, process: str, *, urgent: bool) -> None:
        known = self.processes.get(process)
        if known is not None and known.pid is not None:
            self.world.end(process, urgent)

    def _put_away(self, application: applications.Application) -> None: ...

    def _log(self, who: str, level: str, text: str) -> None:
        self.world.note(f"{who}: {text}")


class World:
    """See the module's text. It also stands for what its parts want to know of each other."""

    hold = 65536  # what `Call` wants of its scope

    def __init__(self, seed: int, trace: bool = False) -> None:
        self.seed = seed
        self.random = chance = random.Random(seed)
        self.clock = Clock()
        self.trace: list[str] | None = [] if trace else None
        self.log = Log(self)
        self.services = self  # as a scope
        minimum = chance.choice((0, 1, 1, 2, 3))
        self.definition = PoolDefinition(
            "app",
            "fastcgi",
            command=("/bin/true",),
            min_procs=minimum,
            max_procs=max(1, minimum + chance.choice((0, 0, 1, 2))),
            max_load_per_proc=chance.choice((1, 2)),
            slots=chance.choice((1, 1, 2, 3, None)),
            idle_timeout=chance.choice((2, 10)),
            queue_length=chance.choice((3, 50)),
            queue_timeout=chance.choice((0, 0, 5)),
            read_timeout=chance.choice((0, 0, 2)),
            disable_time=chance.choice((0, 1)),
            max_requests=chance.choice((0, 0, 1, 5, 20)),
            max_age=chance.choice((0, 0, 0, 5)),
        )
        self.backends: dict[str, Backend] = {}
        self.ran: Counter[str] = Counter()
        self.left: set[str] = set()  # requests whose client has gone
        self.exchanges: list[Exchange] = []
        self.broken_until = 0.0
        self.calm = False  # no accident any more
        self.slowness = chance.choice(DELAYS)
        self.pids = 0
        self.restarts = 0  # that have not been answered
        # The supervisor
        self.fronts: list[Front] = []
        self.living: dict[int, SimulatedFront] = {}
        self.current: SimulatedFront | None = None
        self.starting: SimulatedFront | None = None
        self.generation = 0
        supervisor = cast(loop.Loop, Loop(self.clock))
        stuck = Stuck(supervisor, cast(Any, self.log))
        self.conversation = Conversation(cast(Any, self.log), self.fronts, self._send, stuck)
        around = applications.Surroundings(
            supervisor,
            cast(Any, None),
            cast(Any, None),
            cast(Any, self.log),
            self.conversation,
            {},
            (64, 64),
            30,
        )
        self.applications = Applications(self, around)
        self.pools = {self.definition.name: self.applications}  # as a plan

    def note(self, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.clock.time - 1000:9.4f}  {text}")

    # Chance

    def delay(self) -> float:
        return self.random.random() * self.slowness

    def duration(self) -> float:
        """Seconds that a request takes."""
        kind = self.random.random()
        if kind < 0.7 or self.calm:
            return self.random.random() * 0.05
        return self.random.random() * (1.0 if kind < 0.95 else 15.0)

    def closes_early(self) -> bool:
        """The application ends a connection that was to be kept."""
        return not self.calm and self.random.random() < 0.05

    # The supervisor's side

    def _send(self, front: Front, message: Message) -> None:
        simulated = self.living.get(front.generation)
        if simulated is not None and simulated.loop.alive:
            simulated.down.send(lambda: simulated.hear(message) if simulated.loop.alive else None)

    def told(self, front: SimulatedFront, message: Message) -> None:
        self.note(f"front-{front.record.generation} says {message}")
        if message["type"] == "drained":
            front.record.drained = True
        else:
            self.conversation.told(front.record, message)

    def start_front(self) -> None:
        """At the start, at a reload, and after a crash."""
        self.generation += 1
        front = self.starting = SimulatedFront(self, self.generation)
        self.living[self.generation] = front
        self.fronts.append(front.record)
        self.note(f"front-{self.generation} starts")
        self.conversation.introduce(front.record)
        self.clock.at(self.clock.time + 0.05 + self.random.random() * 0.2, lambda: self._ready(front))

    def _ready(self, front: SimulatedFront) -> None:
        if not front.loop.alive:
            return
        self.starting = None
        previous, self.current = self.current, front
        if previous is not None:
            self._send(previous.record, {"type": "drain"})

    def reload(self) -> None:
        if self.starting is None and self.current is not None:
            self.start_front()

    def crash_front(self) -> None:
        alive = [front for front in self.living.values() if front.loop.alive]
        if alive:
            self.note("a front crashes")
            self.front_ended(self.random.choice(alive))

    def front_ended(self, front: SimulatedFront) -> None:
        front.die()
        front.down.cut()
        # SIGCHLD comes when it comes; until then its messages go on arriving.
        self.clock.at(self.clock.time + self.random.random() * 0.05, lambda: self._buried(front))

    def _buried(self, front: SimulatedFront) -> None:
        front.up.drain()
        self.note(f"front-{front.record.generation} has ended, drained: {front.record.drained}")
        del self.living[front.record.generation]
        self.fronts.remove(front.record)
        self.conversation.left(front.record)
        if front is self.current:
            self.current = None
        if front is self.starting:
            self.starting = None
        if self.current is None and self.starting is None:
            self.start_front()

    # Processes

    def spawn(self, name: str) -> None:
        self.pids += 1
        self.backends[name] = Backend(self, name, self.pids, self.definition.slots)

    def kill(self, name: str) -> None:
        """It dies, whatever the reason."""
        backend = self.backends.get(name)
        if backend is not None and backend.alive:
            self.note(f"{name} dies")
            backend.die()
            self.clock.at(
                self.clock.time + self.random.random() * 0.02, lambda: self.applications._ended(name, 9)
            )

    def end(self, name: str, urgent: bool) -> None:
        """The supervisor ends it; gently only when it has nothing to do for anybody."""
        backend = self.backends[name]
        if not urgent and not self.applications.policy.over:
            wanted = [
                connection.request
                for connection in (*backend.backlog, *backend.served)
                if connection.request is not None
                and not connection.closed
                and connection.receiver is not None
            ]
            if wanted:
                raise Broken(f"{name} is ended while it works on {wanted}")
        self.clock.at(self.clock.time + self.random.random() * 0.1, lambda: self.kill(name))

    def crash_process(self) -> None:
        alive = [name for name, backend in self.backends.items() if backend.alive]
        if alive:
            self.kill(self.random.choice(alive))

    def check_connections(self, backend: Backend) -> None:
        if backend.children is not None and backend.open > backend.children:
            raise Broken(f"{backend.name} has {backend.open} connections and {backend.children} slots")

    def sent(self, request: str) -> None:
        """The front gives a request to a process."""
        if request in self.left:
            raise Broken(f"{request} goes out, its client had left before")

    def runs(self, request: str, backend: Backend) -> None:
        """The application begins with a request."""
        self.note(f"{request} runs in {backend.name}")
        self.ran[request] += 1
        if self.ran[request] > 1 and request.startswith("POST"):
            raise Broken(f"{request} runs twice")

    # Clients

    def ask(self) -> None:
        """A client asks the front that accepts."""
        front = self.current
        if front is None or not front.loop.alive or front.leaving:
            return
        method = self.random.choice(("GET", "POST"))
        exchange = front.begin(f"{method}-{len(self.exchanges)}", method)
        self.exchanges.append(exchange)
        if not self.calm and self.random.random() < 0.15:
            self.clock.at(self.clock.time + self.random.random() * 2, exchange.leave)

    def burst(self) -> None:
        for _ in range(self.random.choice((1, 1, 1, 2, 5, 20))):
            self.ask()

    def restart(self) -> None:
        """`fcgibox restart`; whatever comes of it is told."""
        self.restarts += 1
        self.applications.restarts.ask(self._restarted)

    def _restarted(self, error: str | None) -> None:
        self.note(f"restarted: {error}")
        self.restarts -= 1

    def break_program(self) -> None:
        self.broken_until = self.clock.time + self.random.random() * 5

    # A run

    def run(self) -> None:
        """The whole schedule. Raises Broken."""
        self.applications.start()
        self.start_front()
        chance = self.random
        accidents = chance.sample(
            (self.crash_process, self.crash_front, self.reload, self.break_program, self.restart),
            chance.randrange(6),
        )
        for _ in range(chance.randrange(10, 60)):
            self.clock.run(self.clock.time + chance.choice((0.0, 0.01, 0.1, 0.1, 1.0, 3.0)) * chance.random())
            (chance.choice(accidents) if accidents and chance.random() < 0.25 else self.burst)()
            self.check()
        self.calm = True
        self.broken_until = 0.0
        # Longer than any pause of a crash loop, any drain, any request and any timeout.
        self.clock.run(self.clock.time + 120)
        self.settled()
        for _ in range(3):
            before = len(self.exchanges)
            for _ in range(3):
                self.ask()
                self.clock.run(self.clock.time + 0.05)
            self.clock.run(self.clock.time + 20)
            answers = [exchange.status for exchange in self.exchanges[before:]]
            if answers != [200] * 3:
                raise Broken(f"when all is calm the answers are {answers}")
        self.clock.run(self.clock.time + 40)
        self.settled()

    def check(self) -> None:
        """What holds at any time."""
        for backend in self.backends.values():
            if backend.alive:
                self.check_connections(backend)
        for front in self.living.values():
            desk = front.desk.pool
            room = [
                process.name
                for process in desk.processes.values()
                if not process.retiring
                and process.disabled_until < self.clock.time - 0.2  # a look at the clock later
                and process.rank() is not None
            ]
            if front.loop.alive and desk.waiting and room:
                raise Broken(f"{desk.waiting} requests wait, and {room} have room")
        states = self.applications.policy.states()
        live = sum(state in (pool.State.STARTING, pool.State.RUNNING) for state in states.values())
        # One that is to be followed, or goes on until it is spent, lives beside its successor.
        if live > self.definition.max_procs + 2:
            raise Broken(f"{live} processes are live")

    def settled(self) -> None:
        """What holds when everything has drained; with max-age there is always somebody in between."""
        for _ in range(100 if self.definition.max_age else 1):
            try:
                self._settled()
            except Broken as error:
                last = error
                self.clock.run(self.clock.time + 0.37)
            else:
                return
        raise last

    def _settled(self) -> None:
        self.check()
        waiting = [exchange.name for exchange in self.exchanges if exchange.status == 0]
        if waiting:
            raise Broken(f"forgotten: {waiting}")
        if self.restarts:
            raise Broken(f"{self.restarts} restarts have no outcome")
        if len(self.living) != 1 or self.current is None:
            raise Broken(f"fronts: {list(self.living)}")
        states = self.applications.policy.states()
        if set(states.values()) - {pool.State.RUNNING}:
            raise Broken(f"not all processes run: {states}")
        if len(states) < self.definition.min_procs:
            raise Broken(f"too few processes: {states}")
        alive = {name for name, backend in self.backends.items() if backend.alive}
        if alive != set(states):
            raise Broken(f"the supervisor knows {states}, there are {alive}")
        known = self.current.desk.pool.processes
        if set(known) != set(states):
            raise Broken(f"the front knows {list(known)}, the supervisor {states}")
        for name, process in known.items():
            if process.in_use:
                raise Broken(f"slots of {name} are in use: {process.in_use}")
            if self.definition.slots is not None:
                if process.size != self.definition.slots:
                    raise Broken(
                        f"{process.size} slots of {name} are left, {self.definition.slots} there were"
                    )
                if self.applications.leases.holders(name) != {self.current.record.generation: process.size}:
                    raise Broken(f"the ledger says {self.applications.leases.holders(name)} of {name}")
            if any(slot.state is SlotState.ABANDONED for slot in process.kept + process.free):
                raise Broken(f"an abandoned slot of {name} is free")

    def spool(self) -> Spool:
        return Spool("/nowhere")


def simulate(seed: int) -> None:
    """One schedule; an AssertionError names the seed and shows what happened."""
    try:
        World(seed).run()
    except Exception as error:
        world = World(seed, trace=True)
        with contextlib.suppress(type(error)):
            world.run()
        shown = "\n".join((world.trace or [])[-200:])
        raise AssertionError(
            f"{shown}\n{world.definition}\nseed {seed}: {type(error).__name__}: {error}\n"
            f"again: python -m tests.simulation --seed {seed}"
        ) from error
