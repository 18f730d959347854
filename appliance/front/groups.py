"""The hosts of one entry of `fastcgi.server` or `scgi.server`: one, or as many as its name has addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from appliance.front.desk import Desk


class Group:
    """One host that is always the same."""

    changes = False  # whether `desks` may change

    def __init__(self, desk: Desk) -> None:
        self.desks: tuple[Desk, ...] = (desk,)
        self._observers: list[Callable[[], None]] = []

    def tell(self, observer: Callable[[], None]) -> None:
        """Call `observer` when `desks` has changed."""
        self._observers.append(observer)

    def drain(self, spare: int) -> None:
        """The front leaves; `spare` requests are still on their way in."""
        for desk in self.desks:
            desk.drain(spare)

    def _changed(self) -> None:
        for observer in self._observers:
            observer()

    def status(self) -> dict[str, Any]:
        """For `fcgibox status`: the sums of all hosts."""
        return self._sum(self.desks)

    def _sum(self, desks: Sequence[Desk]) -> dict[str, Any]:
        total: dict[str, Any] = {"requests": 0, "waiting": 0, "processes": {}, "taken": {}, "down": []}
        for desk in desks:
            status = desk.status()
            total["requests"] += status["requests"]
            total["waiting"] += status["waiting"]
            total["processes"] |= status["processes"]
            total["taken"] |= status["taken"]
            total["down"] += status["down"]
        return total
