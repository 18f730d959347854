"""Rules none of whose hosts can be reached: said once when the last host fails, once when the first is back.

Many scopes of a configuration may have the same rule; it is said once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.config import GatewayRule
from appliance.front.groups import Group
from appliance.front.health import Health
from appliance.handlers.exchange import Log


class Outages:
    """See the module's text."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._rules: dict[tuple[str, ...], _Rule] = {}

    def watch(self, rule: GatewayRule, groups: Sequence[Group]) -> None:
        """A rule, and the hosts of each of its entries."""
        name = (rule.key, *(pool.name for pool in rule.pools))
        # Of what the supervisor starts it says itself why it does not run.
        if name not in self._rules and not any(pool.spawned for pool in rule.pools):
            self._rules[name] = _Rule(rule.key, groups, self._log)


class _Rule:
    def __init__(self, key: str, groups: Sequence[Group], log: Log) -> None:
        self._key = key
        self._groups = groups
        self._healths: list[Health] = []
        self._log = log
        self._out = False
        for group in groups:
            group.tell(self._arrange)
        self._arrange()

    def _arrange(self) -> None:
        """These are the hosts now; those that were ours before know us already."""
        known = self._healths
        self._healths = [desk.health for group in self._groups for desk in group.desks if desk.health]
        for health in self._healths:
            if health not in known:
                health.tell(self.look)
        self.look()

    def look(self) -> None:
        """One of the hosts is down or back."""
        healths = self._healths
        out = all(health.down for health in healths)
        if out and not self._out:
            reasons = "; ".join(f"{health.name}: {health.down}" for health in healths)
            self._log.error(
                f'all hosts of "{self._key}" are down, requests are answered with 503 until one is back;'
                f" {reasons}"
            )
        elif self._out and not out:
            self._log.info(f'"{self._key}" has a host again')
        self._out = out
