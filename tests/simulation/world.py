"""One schedule: a pool with fronts, an administrator, clients and accidents, all from one seed."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from typing import Any, cast

from appliance.config import PoolDefinition
from appliance.http.spool import Spool
from appliance.supervisor import loop
from appliance.supervisor.channel import Message
from appliance.supervisor.conversation import Conversation
from appliance.supervisor.front import Front
from appliance.supervisor.stuck import Stuck
from appliance.supervisor.surroundings import Surroundings
from tests.simulation.applications import Applications
from tests.simulation.backend import Backend
from tests.simulation.clock import Clock, Loop
from tests.simulation.front import Exchange, SimulatedFront
from tests.simulation.rules import Broken, check, settled

DELAYS = (0.0, 0.001, 0.02, 0.5)


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
        around = Surroundings(
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
            check(self)
        self.calm = True
        self.broken_until = 0.0
        # Longer than any pause of a crash loop, any drain, any request and any timeout.
        self.clock.run(self.clock.time + 120)
        settled(self)
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
        settled(self)

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
