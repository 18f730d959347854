"""All pools at work in a front, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from appliance.config import GatewayRule, PoolDefinition
from appliance.front.desk import Desk
from appliance.front.groups import Group
from appliance.front.names import NamedGroup, is_address
from appliance.front.outages import Outages
from appliance.front.remote import place
from appliance.gateway.upstream import Upstream
from appliance.handlers.exchange import Log
from appliance.http.loop import Loop, WorkerPool
from appliance.pool.pool import Pool

LOOKUPS = 2  # names that are looked up at the same time
BACKLOG = 256


class Dispatch:
    """Finds the hosts of a pool, and hands on what the supervisor says."""

    def __init__(self, groups: dict[str, Group], log: Log) -> None:
        self._groups = groups
        self._outages = Outages(log)

    def group(self, definition: PoolDefinition) -> Group:
        """The hosts of a pool of the configuration."""
        return self._groups[definition.name]

    def watch(self, rule: GatewayRule) -> None:
        """A rule is in use: an outage of all its hosts is to be told."""
        self._outages.watch(rule, [self.group(pool) for pool in rule.pools])

    def told(self, message: dict[str, Any]) -> None:
        """A message of the supervisor about one pool. A pool that is not ours is on its way out: nothing to
        do.
        """
        group = self._groups.get(message["pool"])
        if group is None:
            return
        desk = group.desks[0]  # what the supervisor starts is one host
        kind = message["type"]
        if kind == "process":
            desk.process_up(
                message["process"],
                message["address"],
                message["slots"],
                message["suspect"],
                message["pid"],
                message["served"],
            )
        elif kind == "served":
            desk.used(message["process"], message["n"])
        elif kind == "lease":
            desk.lease(message["process"], message["slots"], message["suspect"])
        elif kind == "gone":
            desk.gone(message["process"])
        elif kind == "retire":
            desk.retire(message["process"])
        elif kind == "pool":
            desk.state(message["state"], message["reason"])

    def pools(self) -> Iterator[tuple[PoolDefinition, list[Pool]]]:
        """Each entry of the configuration with the pools of its hosts."""
        for group in self._groups.values():
            yield group.desks[0].definition, [desk.pool for desk in group.desks]

    def drain(self, spare: int) -> None:
        """The front leaves."""
        for group in self._groups.values():
            group.drain(spare)

    def status(self) -> dict[str, Any]:
        """Load of all pools."""
        return {name: group.status() for name, group in self._groups.items()}


def groups(
    definitions: Iterable[PoolDefinition],
    loop: Loop,
    log: Log,
    notify: Callable[[dict[str, Any]], None],
    connections: Callable[[PoolDefinition], type[Upstream]],
) -> dict[str, Group]:
    """The hosts of these pools, by the pool's name; `notify` sends a message to the supervisor, `connections`
    says what makes connections to a pool.
    """

    def make(definition: PoolDefinition, address: str, process: str) -> Desk:
        return Desk(definition, loop, log, notify, address, process, connections(definition))

    found = {}
    workers = None
    for definition in definitions:
        if definition.spawned:
            found[definition.name] = Group(make(definition, "", ""))
        elif definition.socket or is_address(definition.host or ""):
            found[definition.name] = Group(make(definition, place(definition), definition.name))
        else:
            workers = workers or WorkerPool(loop, LOOKUPS, BACKLOG)
            found[definition.name] = NamedGroup(definition, make, workers, loop, log)
    return found
