"""`fcgibox status`, `top`, `reload`, `restart`, `stop`: talk to a running instance on its control socket."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from docopt import docopt

from appliance.commands.overview import processes, render
from appliance.errors import UserError
from appliance.supervisor.control import ask, find
from appliance.supervisor.memory import memory
from appliance.supervisor.processes import start_time

USAGE = """Talk to a running fcgibox.

Usage:
  fcgibox status [--json] [--control PATH | INSTANCE]
  fcgibox top [--every SECONDS] [--control PATH | INSTANCE]
  fcgibox reload [--control PATH | INSTANCE]
  fcgibox restart POOL [--control PATH | INSTANCE]
  fcgibox stop [--now] [--control PATH | INSTANCE]

INSTANCE is the name that the start block shows, or a beginning of it; not needed while only one runs.

Options:
  --control PATH    the control socket, instead of looking for it
  --json            print everything, for programs
  --every SECONDS   how often `top` looks [default: 2]
  --now             do not wait for running requests
  -h --help         show this

`status` shows for each pool what its processes do: requests they work on and have had from this front,
memory with that of their children, shared memory by its share (PSS). `top` shows it again and again, until
Ctrl-C.

`reload` answers when the new configuration is served; after an error in it nothing has changed. `stop`
answers when everything has ended.

`restart` replaces the processes of one pool (`status` shows their names) without losing a request, one after
the other, each when the new one has shown that it serves. If a new one fails, the old ones stay.
"""

_RELOAD_PATIENCE = 120.0
_RESTART_PATIENCE = 600.0  # a large template to load, then one process after the other
_STEP = 0.05


def run(argv: list[str]) -> int:
    """One of these commands."""
    options = docopt(USAGE, argv=argv)
    path = Path(options["--control"]) if options["--control"] else find(options["INSTANCE"])
    if options["status"]:
        status = _look(path)
        print(json.dumps(status, indent=2) if options["--json"] else render(status))
    elif options["top"]:
        _top(path, options["--every"])
    elif options["reload"]:
        ask(path, {"command": "reload"}, _RELOAD_PATIENCE)
        print("reloaded")
    elif options["restart"]:
        ask(path, {"command": "restart", "pool": options["POOL"]}, _RESTART_PATIENCE)
        print(f"restarted {options['POOL']}")
    else:
        _stop(path, now=options["--now"])
    return 0


def _look(path: Path) -> dict[str, Any]:
    """The status with the memory of each process in octets.

    It is read here and not by the supervisor: that takes milliseconds for each, and we may look as it may.
    """
    status: dict[str, Any] = ask(path, {"command": "status"})["status"]
    for process in processes(status):
        process["memory"] = memory(process["pid"])
    return status


def _top(path: Path, every: str) -> None:
    try:
        pause = float(every)
        if not 0.1 <= pause <= 3600:
            raise ValueError
    except ValueError:
        raise UserError(f"--every {every} is no number of seconds from 0.1 to 3600", status=2) from None
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            text = render(_look(path))
            lines = shutil.get_terminal_size().lines
            shown = "\n".join(text.splitlines()[: max(1, lines - 1)])
            # Home, the text with the rest of each line cleared, the rest of the screen cleared (ECMA-48).
            print("\x1b[H" + shown.replace("\n", "\x1b[K\n") + "\x1b[K\x1b[J", flush=True)
            time.sleep(pause)


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
