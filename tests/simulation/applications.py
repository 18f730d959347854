"""The supervisor's side of a pool, where processes start and end in the simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from appliance.supervisor import applications
from appliance.supervisor.actions import State
from appliance.supervisor.identity import current
from appliance.supervisor.surroundings import Surroundings

if TYPE_CHECKING:
    from tests.simulation.world import World


class _Output:
    """Of an application: it says nothing."""

    last: tuple[str, ...] = ()

    def read(self) -> bool:
        return False


class Applications(applications.Applications):
    """The real shell, where it starts and ends processes of the simulation."""

    def __init__(self, world: World, around: Surroundings) -> None:
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
        if self.policy.states().get(process) is State.ENDING:
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
