"""What `fcgibox status` says to people: one paragraph for the server, one for each pool, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_LAST_WORDS = 5  # lines of them that are shown


def render(status: dict[str, Any]) -> str:
    """The status as text."""
    lines = [*_server(status)]
    for pool in status["pools"]:
        lines += ["", *_pool(pool)]
    for host in status["hosts"]:
        lines += ["", *_host(host)]
    return "\n".join(lines)


def _host(host: dict[str, Any]) -> Iterator[str]:
    """An application that somebody else has started."""
    yield f"host {host['name']} at {host['place']}: {'down' if host['down'] else 'fine'}"
    waiting = f", {host['waiting']} waiting in the queue" if host["waiting"] else ""
    yield f"  works on {_number(host['load'], 'request')}, has had {host['requests']}{waiting}"
    yield from (f"  ! {reason}" for reason in host["down"])


def _server(status: dict[str, Any]) -> Iterator[str]:
    yield f"fcgibox {status['version']}  {status['instance']}{', stopping' if status['stopping'] else ''}"
    yield f"  up             {age(status['uptime'])}, process {status['pid']}"
    yield f"  configuration  {status['configuration']}"
    yield f"  listens on     {', '.join(status['listeners']) or 'nothing'}"
    front = status["front"]
    if front is None:
        yield "  front          none: it has died and is being started again"
    else:
        yield (
            f"  front          process {front['pid']}, user {front['user']}, up {age(front['age'])}"
            f"{_memory(front)}"
        )
        yield f"  clients        {_clients(front['data'], status['connection_limit'])}"
    for other in status["other_fronts"]:
        yield f"  older front    process {other['pid']}, {other['state']}"


def _clients(data: dict[str, Any], limit: int) -> str:
    if not data:
        return "unknown: the front does not answer"
    return (
        f"{_number(data.get('connections', 0), 'connection')} of at most {limit}, "
        f"{_number(data.get('requests', 0), 'request')} so far"
    )


def _pool(pool: dict[str, Any]) -> Iterator[str]:
    yield f"pool {pool['name']}: {_state(pool)}"
    yield f"  {', '.join(_facts(pool))}"
    yield from _trouble(pool)
    rows = [_process(process) for process in pool["processes"]]
    if rows:
        yield from _table(("process", "pid", "state", "age", "works on", "requests", "memory"), rows)


def _state(pool: dict[str, Any]) -> str:
    old = "" if pool["current"] else ", of an earlier configuration"
    return f"{pool['state']}{old}"


def _facts(pool: dict[str, Any]) -> Iterator[str]:
    bounds = str(pool["min"]) if pool["min"] == pool["max"] else f"{pool['min']} to {pool['max']}"
    yield f"{len(pool['processes'])} of {bounds} processes"
    yield f"user {pool['user']}"
    if pool["template"]:
        yield f"template {pool['template']}"
    if pool["requests"] is not None:
        yield _number(pool["requests"], "request")
    if pool["waiting"]:
        yield f"{pool['waiting']} waiting in the queue"


def _trouble(pool: dict[str, Any]) -> Iterator[str]:
    """What fails and why, and what the last process said that ended."""
    if pool["state"] == "failing" and pool["reason"]:
        yield f"  ! {pool['reason']}"
    if pool.get("next_try") is not None:
        yield f"  ! the next try is in {age(pool['next_try'])}"
    last = pool.get("last_exit")
    if last:
        words = ", its last words:" if last["stderr"] else ""
        yield f"  {last['process']} ended {age(last['age'])} ago: {last['reason']}{words}"
        yield from (f"    {line}" for line in last["stderr"][-_LAST_WORDS:])


def _process(process: dict[str, Any]) -> tuple[str, ...]:
    def known(value: Any) -> str:
        return "-" if value is None else str(value)

    return (
        process["name"],
        str(process["pid"] or "-"),
        process["state"],
        age(process["age"]),
        known(process["load"]),
        known(process["requests"]),
        size(process["memory"]) if process.get("memory") else "-",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as they need to be; numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    left = (0, 2)
    for row in (head, *rows):
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {'  '.join(cells).rstrip()}"


def _memory(thing: dict[str, Any]) -> str:
    return f", {size(thing['memory'])}" if thing.get("memory") else ""


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(octets: int) -> str:
    """An amount of memory."""
    mebibytes = octets / (1 << 20)
    return f"{mebibytes:.1f} MiB" if mebibytes < 100 else f"{mebibytes:.0f} MiB"


def age(seconds: float) -> str:
    """A duration in its two largest units."""
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def processes(status: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Every description of a process that has a number."""
    front = status["front"]
    if front is not None:
        yield front
    for pool in status["pools"]:
        yield from (process for process in pool["processes"] if process["pid"])
