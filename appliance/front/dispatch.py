"""All desks of a front, by the name of their pool."""

from __future__ import annotations

from typing import Any

from appliance.config import PoolDefinition
from appliance.front.desk import Desk


class Dispatch:
    """Finds the desk for a pool, and hands on what the supervisor says."""

    def __init__(self, desks: dict[str, Desk]) -> None:
        self._desks = desks

    def desk(self, definition: PoolDefinition) -> Desk:
        """The desk of a pool of the configuration."""
        return self._desks[definition.name]

    def told(self, message: dict[str, Any]) -> None:
        """A message of the supervisor about one pool. A pool that is not ours is on its way out: nothing to
        do.
        """
        desk = self._desks.get(message["pool"])
        if desk is None:
            return
        kind = message["type"]
        if kind == "process":
            desk.process_up(message["process"], message["address"], message["slots"], message["suspect"])
        elif kind == "lease":
            desk.lease(message["process"], message["slots"], message["suspect"])
        elif kind == "gone":
            desk.gone(message["process"])
        elif kind == "retire":
            desk.retire(message["process"])
        elif kind == "pool":
            desk.state(message["state"], message["reason"])

    def drain(self, spare: int) -> None:
        """The front leaves."""
        for desk in self._desks.values():
            desk.drain(spare)

    def status(self) -> dict[str, Any]:
        """Load of all pools."""
        return {name: desk.status() for name, desk in self._desks.items()}
