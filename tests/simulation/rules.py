"""What holds in every schedule: at any time, and when everything has drained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.pool.slots import State as SlotState
from appliance.supervisor.actions import State

if TYPE_CHECKING:
    from tests.simulation.backend import Backend
    from tests.simulation.world import World


class Broken(AssertionError):
    """A rule does not hold."""


def check_connections(backend: Backend) -> None:
    if backend.children is not None and backend.open > backend.children:
        raise Broken(f"{backend.name} has {backend.open} connections and {backend.children} slots")


def check(world: World) -> None:
    """What holds at any time."""
    for backend in world.backends.values():
        if backend.alive:
            check_connections(backend)
    for front in world.living.values():
        desk = front.desk.pool
        room = [
            process.name
            for process in desk.processes.values()
            if not process.retiring
            and process.disabled_until < world.clock.time - 0.2  # a look at the clock later
            and process.rank() is not None
        ]
        if front.loop.alive and desk.waiting and room:
            raise Broken(f"{desk.waiting} requests wait, and {room} have room")
    states = world.applications.policy.states()
    live = sum(state in (State.STARTING, State.RUNNING) for state in states.values())
    # One that is to be followed, or goes on until it is spent, lives beside its successor.
    if live > world.definition.max_procs + 2:
        raise Broken(f"{live} processes are live")


def settled(world: World) -> None:
    """What holds when everything has drained; with max-age there is always somebody in between."""
    for _ in range(100 if world.definition.max_age else 1):
        try:
            _settled(world)
        except Broken as error:
            last = error
            world.clock.run(world.clock.time + 0.37)
        else:
            return
    raise last


def _settled(world: World) -> None:
    check(world)
    waiting = [exchange.name for exchange in world.exchanges if exchange.status == 0]
    if waiting:
        raise Broken(f"forgotten: {waiting}")
    if world.restarts:
        raise Broken(f"{world.restarts} restarts have no outcome")
    if len(world.living) != 1 or world.current is None:
        raise Broken(f"fronts: {list(world.living)}")
    states = world.applications.policy.states()
    if set(states.values()) - {State.RUNNING}:
        raise Broken(f"not all processes run: {states}")
    if len(states) < world.definition.min_procs:
        raise Broken(f"too few processes: {states}")
    alive = {name for name, backend in world.backends.items() if backend.alive}
    if alive != set(states):
        raise Broken(f"the supervisor knows {states}, there are {alive}")
    known = world.current.desk.pool.processes
    if set(known) != set(states):
        raise Broken(f"the front knows {list(known)}, the supervisor {states}")
    for name, process in known.items():
        if process.in_use:
            raise Broken(f"slots of {name} are in use: {process.in_use}")
        if world.definition.slots is not None:
            if process.size != world.definition.slots:
                raise Broken(f"{process.size} slots of {name} are left, {world.definition.slots} there were")
            if world.applications.leases.holders(name) != {world.current.record.generation: process.size}:
                raise Broken(f"the ledger says {world.applications.leases.holders(name)} of {name}")
        if any(slot.state is SlotState.ABANDONED for slot in process.kept + process.free):
            raise Broken(f"an abandoned slot of {name} is free")
