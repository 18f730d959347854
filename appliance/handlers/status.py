"""status.status-url: a page about clients and applications; with ?auto the lines for programs of lighttpd.

All counts begin with this front: a reload begins anew. The page shows no address and no request of a client.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from appliance.config import Settings
from appliance.handlers.chain import Transaction
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.handlers.statistics import FIELDS
from appliance.http.response import Response

if TYPE_CHECKING:
    from appliance.front.services import Services

_LETTERS = {"idle": "k", "head": "r", "body": "R", "serving": "h", "sending": "W", "lingering": "C"}
"""States of connections as lighttpd's scoreboard writes them."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Status</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:2em;color:#222}}
table{{border-collapse:collapse;margin:1em 0}}th,td{{padding:.1em 1em .1em 0;text-align:left}}
td.n,th.n{{text-align:right}}
@media(prefers-color-scheme:dark){{body{{background:#181818;color:#eee}}}}</style></head>
<body><h1>Status</h1>
<table>{facts}</table>
{pools}</body>
</html>
"""


class CountedTransaction(Transaction):
    """One whose octets are counted: only where there is a page that shows them."""

    __slots__ = ()

    def finished(self, status: int, octets: int) -> None:
        """The answer is out."""
        self._services.octets += octets
        super().finished(status, octets)


def build(settings: Settings, services: Services) -> Handler | None:
    """The handler of one scope."""
    path = settings.string("status.status-url")
    if not path:
        return None

    def handle(exchange: Exchange) -> Outcome:
        request = exchange.request
        if request.path != path:
            return None
        told = services.describe()
        if request.query == "auto":
            return Response(200, list(FIELDS), "".join(_lines(told)).encode())
        return Response(
            200, [(b"Content-Type", b"text/html; charset=utf-8"), FIELDS[1]], _page(told).encode()
        )

    return handle


def _lines(told: dict[str, Any]) -> Iterator[str]:
    busy = len(told["states"])
    idle = max(0, told["limit"] - busy)
    yield f"Total Accesses: {told['requests']}\n"
    yield f"Total kBytes: {told['octets'] // 1024}\n"
    yield f"Uptime: {told['uptime']:.0f}\n"
    yield f"BusyServers: {busy}\n"
    yield f"IdleServers: {idle}\n"
    yield f"Scoreboard: {''.join(_LETTERS.get(state, '.') for state in told['states'])}{'_' * idle}\n"


def _page(told: dict[str, Any]) -> str:
    facts = (
        ("up for", f"{told['uptime']:.0f} s"),
        ("requests", told["requests"]),
        ("sent", f"{told['octets'] / 1048576:.1f} MiB"),
        ("connections", f"{len(told['states'])} of at most {told['limit']}, {told['idle']} of them idle"),
    )
    return _PAGE.format(
        facts="".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>\n" for name, value in facts),
        pools="".join(map(_pool, told["pools"].items())),
    )


def _pool(item: tuple[str, dict[str, Any]]) -> str:
    name, pool = item
    said = f"<h2>{escape(name)}</h2>\n<p>{pool['requests']} requests, {pool['waiting']} waiting</p>\n"
    if not pool["processes"]:
        return f"{said}<p>No process is up.</p>\n"
    head = '<tr><th>process</th><th class="n">working on</th><th class="n">requests</th></tr>\n'
    rows = (
        f"<tr><td>{escape(process)}</td>"
        f'<td class="n">{load}</td><td class="n">{pool["taken"][process]}</td></tr>\n'
        for process, load in pool["processes"].items()
    )
    return f"{said}<table>{head}{''.join(rows)}</table>\n"
