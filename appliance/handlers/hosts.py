"""The hosts of a rule: which one a request goes to, and where it goes when that one cannot be reached.

Most rules have one host, and then there is nothing to choose: `sole` is it, and no `Route` is made. With
several the choice is made when the request's body is complete, for until then it is no load to anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.config import GatewayRule, PoolDefinition, Settings
from appliance.gateway.environment import Parameters, Split
from appliance.gateway.roots import roots
from appliance.http.request import Request
from appliance.pool.balance import BALANCES, NOBODY, Balance, Candidate

if TYPE_CHECKING:
    from collections.abc import Container

    from appliance.handlers.scope import Desk, Services


class Host:
    """One host of a rule, ready to be asked."""

    __slots__ = ("definition", "desk", "parameters")

    def __init__(self, definition: PoolDefinition, desk: Desk, parameters: Parameters) -> None:
        self.definition = definition
        self.desk = desk
        self.parameters = parameters


class Hosts:
    """All hosts of a rule. A name may have several addresses, and others later: each is a host."""

    __slots__ = ("_balance", "_clock", "_entries", "_make", "hosts", "sole")

    def __init__(self, rule: GatewayRule, balance: str, settings: Settings, services: Services) -> None:
        software, name = settings.string("server.tag"), settings.optional_string("server.name") or ""
        chroot = settings.optional_string("server.chroot")
        self._clock = services.clock
        self._make = BALANCES[balance]
        self._entries = [
            (
                definition,
                services.dispatch.group(definition),
                Parameters(definition, software, name, roots(definition, chroot)),
            )
            for definition in rule.pools
        ]
        self.hosts: tuple[Host, ...]
        self.sole: Host | None  # the host, where there is one and always will be
        self._balance: Balance
        for _, group, _ in self._entries:
            group.tell(self._arrange)
        self._arrange()
        services.dispatch.watch(rule)

    def _arrange(self) -> None:
        """Ours are the hosts that there are now."""
        self.hosts = tuple(
            Host(definition, desk, parameters)
            for definition, group, parameters in self._entries
            for desk in group.desks
        )
        changes = any(group.changes for _, group, _ in self._entries)
        self.sole = self.hosts[0] if len(self.hosts) == 1 and not changes else None
        self._balance = self._make(
            [Candidate(host.desk.pool, host.desk.address, host.definition.weight) for host in self.hosts]
        )

    def choose(self, request: Request, tried: Container[int] = NOBODY) -> int:
        """The index of the host for a request."""
        return self._balance.choose(request, self._clock.now(), tried)

    def usable(self, index: int) -> bool:
        """Whether a host can be asked now, as far as we know."""
        return self.hosts[index].desk.pool.usable(self._clock.now())


class Route:
    """The way of one request among several hosts: each is tried at most once."""

    __slots__ = ("_generation", "_hosts", "_request", "_split", "_tried")

    def __init__(self, hosts: Hosts, request: Request, split: Callable[[PoolDefinition], Split]) -> None:
        """`split` divides the path as a host sees it."""
        self._hosts = hosts
        self._request = request
        self._split = split
        self._tried: set[int] = set()
        self._generation = hosts.hosts

    def next(self) -> tuple[Host, Split] | None:
        """The first time the host for the request; then another one that can be asked now, None if there is
        none.
        """
        hosts = self._hosts
        if self._generation is not hosts.hosts:  # there are other hosts now
            tried = {self._generation[index].desk for index in self._tried}
            self._generation = hosts.hosts
            self._tried = {index for index, host in enumerate(hosts.hosts) if host.desk in tried}
        index = hosts.choose(self._request, self._tried)
        if self._tried and (index in self._tried or not hosts.usable(index)):
            return None
        self._tried.add(index)
        host = hosts.hosts[index]
        return host, self._split(host.definition)

    @property
    def has_more(self) -> bool:
        """Whether there is a host that was not tried and can be asked now."""
        hosts = self._hosts
        return hosts.hosts is not self._generation or any(
            index not in self._tried and hosts.usable(index) for index in range(len(hosts.hosts))
        )
