"""A host that is a name: each of its addresses is a host, and they may be others in a minute.

Orchestrators give a service one name and its containers' addresses. The name is looked up at start, every
resolve-interval, and soon after one of its addresses could not be reached. A lookup that fails changes
nothing. An address that is gone gets no new requests; those it has may end.

Lookups wait for a name server, so they run in a thread of their own, on the C function: gevent's replacement
would want the loop of a thread that has none.
"""

from __future__ import annotations

import _socket
import ipaddress
from collections.abc import Callable
from typing import Any, Protocol

from appliance.config import PoolDefinition
from appliance.front.desk import Desk
from appliance.front.groups import Group
from appliance.front.remote import join
from appliance.handlers.exchange import Log
from appliance.http.loop import Loop
from appliance.http.wheel import Timer

AGAIN = (
    2.0  # seconds until another lookup, after one that failed and after an address that could not be reached
)
MOST = 64  # addresses of one name that are used

Make = Callable[[PoolDefinition, str, str], Desk]
"""Makes a desk: the entry, the address ("" if it is not known yet), the name of its process."""


class Workers(Protocol):
    """Threads that may wait."""

    def submit(self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> bool: ...


def addresses(name: str) -> list[str]:
    """The addresses of a name, sorted; raises OSError.

    Of one family, IPv4 if there is any: a machine that has both would be two hosts and get twice its share.
    """
    found = {
        str(entry[4][0])
        # Octets: text would be encoded by a module that is loaded at the first use, where it may not exist.
        for entry in _socket.getaddrinfo(name.encode("ascii"), None, type=_socket.SOCK_STREAM)
    }
    four = [address for address in found if ":" not in address]
    return sorted(four or found, key=lambda address: ipaddress.ip_address(address.partition("%")[0]))[:MOST]


def is_address(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class NamedGroup(Group):
    """The hosts behind one name. Until the first lookup is over there is one, where requests wait."""

    changes = True

    def __init__(
        self, definition: PoolDefinition, make: Make, workers: Workers, loop: Loop, log: Log
    ) -> None:
        self._definition = definition
        self._host = definition.host or ""
        self._make = make
        self._workers = workers
        self._loop = loop
        self._log = log
        self._by_address: dict[str, Desk] = {}
        self._leaving: list[Desk] = []  # with requests that end
        self._timer: Timer | None = None
        self._looking = False
        self._failed = False
        self._draining = False
        first = make(definition, "", definition.name)
        first.expect()
        super().__init__(first)
        self._observe(first)
        self._look_up()

    # Lookups

    def _look_up(self) -> None:
        if self._looking or self._draining:
            return
        self._looking = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._workers.submit(lambda: addresses(self._host), self._looked_up):
            self._looking = False
            self._later(AGAIN)

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look_up)

    def _looked_up(self, found: list[str] | None, error: BaseException | None) -> None:
        self._looking = False
        if self._draining:
            return
        interval = self._definition.resolve_interval
        if not found:
            self._missing(error)
            self._later(min(AGAIN, interval) if interval else AGAIN)
            return
        if self._failed:
            self._failed = False
            self._log.info(f"{self._definition.name}: the host {self._host!r} has an address again")
        if found != list(self._by_address):
            self._use(found)
        if interval:
            self._later(interval)

    def _missing(self, error: BaseException | None) -> None:
        """There is no address, or the name server is silent: told once."""
        if self._failed:
            return
        self._failed = True
        reason = f"no address for the host {self._host!r}"
        if isinstance(error, OSError) and error.strerror:
            reason += f" ({error.strerror})"
        advice = "mend the name, or the name servers of this machine (/etc/resolv.conf, /etc/hosts)"
        if self._by_address:
            self._log.warning(
                f"{self._definition.name}: {reason}; the addresses it had stay in use; {advice}"
            )
        else:
            self.desks[0].unresolved(reason, f"{advice}; it is looked up again every {AGAIN:.0f} s")

    def _use(self, found: list[str]) -> None:
        """These are the addresses from now on."""
        before = self._by_address
        if before:
            self._by_address = {address: before.get(address) or self._new(address) for address in found}
        else:
            waiting = self.desks[0]  # there may be requests
            waiting.settle(self._place(found[0]), self._process(found[0]))
            self._by_address = {found[0]: waiting} | {address: self._new(address) for address in found[1:]}
        gone = {address: desk for address, desk in before.items() if address not in self._by_address}
        self._tell_change(found, before, gone)
        self.desks = tuple(self._by_address.values())
        self._leaving = [desk for desk in (*self._leaving, *gone.values()) if desk.pool.load]
        self._changed()
        for address, desk in gone.items():
            desk.dissolve(f"{address} is no address of {self._host!r} any more")

    def _tell_change(self, found: list[str], before: dict[str, Desk], gone: dict[str, Desk]) -> None:
        text = f"{self._definition.name}: the host {self._host!r} is {', '.join(found)}"
        if new := [address for address in found if before and address not in before]:
            text += f"; new: {', '.join(new)}"
        if gone:
            text += f"; gone: {', '.join(gone)}, where requests may end"
        self._log.info(text)

    def _new(self, address: str) -> Desk:
        desk = self._make(self._definition, self._place(address), self._process(address))
        self._observe(desk)
        return desk

    def _place(self, address: str) -> str:
        return join(address, self._definition.port)

    def _process(self, address: str) -> str:
        return f"{self._definition.name}@{address}"

    def _observe(self, desk: Desk) -> None:
        """An address that cannot be reached may be one that the name no longer has."""

        def look() -> None:
            health = desk.health
            if health is not None and health.down and self._definition.resolve_interval:
                self._later(AGAIN)

        if desk.health is not None:
            desk.health.tell(look)

    # The group

    def drain(self, spare: int) -> None:
        """The front leaves; what is looked up now is of no use to it."""
        self._draining = True
        if self._timer is not None:
            self._timer.cancel()
        super().drain(spare)

    def status(self) -> dict[str, Any]:
        """For `fcgibox status`: with the addresses that are gone and still work."""
        self._leaving = [desk for desk in self._leaving if desk.pool.load]
        return self._sum((*self.desks, *self._leaving))
