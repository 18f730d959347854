"""`fcgibox status`, `reload` and `stop`: talk to a running instance over its control socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docopt import docopt

from appliance.errors import UserError
from appliance.supervisor.control import ask, find
from appliance.supervisor.processes import start_time

USAGE = """Talk to a running fcgibox.

Usage:
  fcgibox status [--json] [--control PATH | INSTANCE]
  fcgibox reload [--control PATH | INSTANCE]
  fcgibox stop [--now] [--control PATH | INSTANCE]

INSTANCE is the name that the start block shows, or a beginning of it; not needed while only one runs.

Options:
  --control PATH    the control socket, instead of looking for it
  --json            print everything, for programs
  --now             do not wait for running requests
  -h --help         show this

`reload` answers when the new configuration is served; after an error in it nothing has changed. `stop`
answers when everything has ended.
"""

_RELOAD_PATIENCE = 120.0
_STEP = 0.05


def run(argv: list[str]) -> int:
    """One of the three commands."""
    options = docopt(USAGE, argv=argv)
    path = Path(options["--control"]) if options["--control"] else find(options["INSTANCE"])
    if options["status"]:
        status = ask(path, {"command": "status"})["status"]
        print(json.dumps(status, indent=2) if options["--json"] else render(status))
    elif options["reload"]:
        ask(path, {"command": "reload"}, _RELOAD_PATIENCE)
        print("reloaded")
    else:
        _stop(path, now=options["--now"])
    return 0


def _stop(path: Path, *, now: bool) -> None:
    # Known before the question: afterwards it may be gone, and its number somebody else's.
    pid = int(ask(path, {"command": "status"})["status"]["pid"])
    started = start_time(pid)
    ask(path, {"command": "stop", "now": now})
    try:
        while start_time(pid) == started and started is not None:
            time.sleep(_STEP)
    except KeyboardInterrupt:
        raise UserError(
            "it is still completing requests; `fcgibox stop --now` ends it at once", status=130
        ) from None
    print("stopped")


def render(status: dict[str, Any]) -> str:
    """The status as text for people."""
    front = status["front"]
    lines = [
        f"fcgibox {status['version']}  {status['instance']}  process {status['pid']}, "
        f"up {age(status['uptime'])}{', stopping' if status['stopping'] else ''}",
        f"  configuration  {status['configuration']}",
        f"  listens on     {', '.join(status['listeners']) or 'nothing'}",
    ]
    if front is None:
        lines.append("  front          none: it has died and is being started again")
    else:
        data = front["data"]
        lines.append(
            f"  front          process {front['pid']}, user {front['user']}, "
            f"generation {front['generation']}, up {age(front['age'])}"
        )
        if data:
            lines.append(
                f"  clients        {data.get('connections', 0)} of at most {status['connection_limit']} "
                f"connected, {data.get('requests', 0)} requests so far"
            )
        else:
            lines.append("  clients        unknown: the front does not answer")
    lines += [
        f"  other front    process {other['pid']}, generation {other['generation']}, {other['state']}"
        for other in status["other_fronts"]
    ]
    for pool in status["pools"]:
        lines += ["", *_pool(pool)]
    return "\n".join(lines)


def _pool(pool: dict[str, Any]) -> Iterable[str]:
    count = f"{len(pool['processes'])} of {pool['min']}-{pool['max']} processes"
    head = f"pool {pool['name']}: {pool['state']}, {count}, user {pool['user']}"
    if pool["template"]:
        head += f", template is process {pool['template']}"
    if pool["waiting"]:
        head += f", {pool['waiting']} requests wait"
    if not pool["current"]:
        head += " (of an earlier configuration)"
    yield head
    if pool["state"] == "failing":
        yield f"  {pool['reason']}"
    rows = [
        (
            p["name"],
            str(p["pid"] or "-"),
            p["state"],
            age(p["age"]),
            "-" if p["load"] is None else str(p["load"]),
        )
        for p in pool["processes"]
    ]
    if rows:
        yield from _table(("process", "pid", "state", "age", "load"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


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
