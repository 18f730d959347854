"""status.statistics-url: counters of applications, one `name: value` a line, for whoever draws curves.

The names are those of lighttpd since 1.4.46 (`gw.…`) and, for FastCGI, those before (`fastcgi.…`), side by
side: its reference still has the old ones. Two things differ: an entry without a name is called by its key,
where lighttpd leaves a hole, and `disabled` is counted, where lighttpd never does. `connected` counts
requests, also those on a connection that was kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from appliance.config import PoolDefinition, Settings
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.http.response import Response
from appliance.pool.pool import Pool

if TYPE_CHECKING:
    from appliance.front.services import Services

FIELDS = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store")]
"""Header fields of what is true for a moment only."""


def build(settings: Settings, services: Services) -> Handler | None:
    """The handler of one scope."""
    path = settings.string("status.statistics-url")
    if not path:
        return None

    def handle(exchange: Exchange) -> Outcome:
        if exchange.request.path != path:
            return None
        lines = [f"{name}: {value}\n" for name, value in counters(services.dispatch.pools())]
        return Response(200, list(FIELDS), "".join(lines).encode())

    return handle


def counters(entries: Iterator[tuple[PoolDefinition, list[Pool]]]) -> list[tuple[str, int]]:
    """All names and values, in lighttpd's order: by the length of the name, then by its octets."""
    found: dict[str, int] = {}
    for definition, pools in entries:
        requests = f"{definition.protocol}.requests"
        found[requests] = found.get(requests, 0) + sum(pool.tally.requests for pool in pools)
        of_pool = dict(_backend(pools))
        load = of_pool["load"]
        beginnings = ["gw."] if definition.protocol == "scgi" else ["gw.", "fastcgi."]
        for beginning in beginnings:
            active = f"{beginning}active-requests"
            found[active] = found.get(active, 0) + load
            for name, value in of_pool.items():
                found[f"{beginning}backend.{definition.name}.{name}"] = value
    return sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0]))


def _backend(pools: list[Pool]) -> Iterator[tuple[str, int]]:
    number = total = 0
    for pool in pools:
        for counts, process in pool.tally.places():
            load = pool.processes[process].load if process in pool.processes else 0
            yield f"{number}.connected", counts.connected
            yield f"{number}.died", counts.died
            yield f"{number}.disabled", counts.disabled
            yield f"{number}.overloaded", counts.overloaded
            yield f"{number}.load", load
            total += load
            number += 1
    yield "load", total
