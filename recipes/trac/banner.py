"""The start block: what works now, for people who have just started it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from appliance.program import spoken
from appliance.supervisor.source import Running
from recipes.trac.creation import secret_file
from recipes.trac.listen import Listen, urls
from recipes.trac.passwords import ADMIN, reset_command
from recipes.trac.text import Site

_WIDTH = 11
_MOST_PROJECTS = 12
_MOST_URLS = 6


def banner(
    site: Site, running: Running, administrators: dict[str, str], ceiling: str, notes: tuple[str, ...]
) -> str:
    """Lines for the terminal or the journal. `administrators`: password files with an admin, by project;
    `ceiling`: why so many processes may run."""
    lines = ["", f"Trac runs. {_state(site)}", ""]
    for label, values in _rows(site, running, administrators, ceiling):
        for number, value in enumerate(values):
            lines.append(f"  {label if number == 0 else '':{_WIDTH}} {value}")
    lines += [f"  {'note':{_WIDTH}} {note}" for note in notes]
    lines.append("")
    return "\n".join(lines)


def _state(site: Site) -> str:
    if site.parent is not None:
        count = _count(len(site.projects))
        return f"{count} below {site.parent}; one that is created there later appears by itself."
    if len(site.projects) == 1:
        return f"Its environment is {site.projects[0].directory}"
    return f"{_count(len(site.projects))}."


def _rows(
    site: Site, running: Running, administrators: dict[str, str], ceiling: str
) -> Iterator[tuple[str, list[str]]]:
    yield "open", _open(site)
    reach = _reach(site)
    if reach:
        yield "from afar", reach
    if any(project.name for project in site.projects):
        shown = [
            f"{site.mount}/{project.name}   {project.directory}" for project in site.projects[:_MOST_PROJECTS]
        ]
        more = len(site.projects) - len(shown)
        yield "projects", [*shown, f"and {more} more"] if more else shown
    low, high = site.processes
    count = f"{low}-{high} Trac processes" if low < high else f"{low} Trac process{'es' if low > 1 else ''}"
    yield (
        "runs",
        [
            f"front {running.front_pid} and {count} as {running.front_user},"
            f" supervisor {running.supervisor_pid}",
            ceiling,
        ],
    )
    yield (
        "limits",
        [
            f"{running.connection_limit} connections, requests of {site.request_limit >> 10} MiB;"
            f" a stop gives running requests {running.graceful_limit:g} s"
        ],
    )
    yield "passwords", list(_passwords(site))[:_MOST_PROJECTS]
    secrets = [secret_file(Path(directory)) for directory in administrators]
    found = [str(file) for file in secrets if os.path.exists(file)]
    if found:
        yield (
            "first login",
            [f"{ADMIN}; read the password, then delete its file: {found[0]}", *found[1:_MOST_PROJECTS]],
        )
    for file in list(administrators.values())[:1]:
        yield "forgotten?", [f"{reset_command(file)}   sets a new one"]
    yield "log", [f"{running.error_log or 'here'}, and log/trac.log in each environment"]
    yield "stop", [f"Ctrl-C, or: {spoken()} stop {running.run_directory.name}"]


def _passwords(site: Site) -> Iterator[str]:
    files = dict.fromkeys(project.password_file for project in site.projects)
    for file in files:
        yield file + _why_closed(file, "its login")
    if site.others is not None and site.others.password_file not in files:
        file = site.others.password_file
        yield file + _why_closed(file, "the login of projects without a file of their own")


def _why_closed(file: str, what: str) -> str:
    if not os.path.isfile(file):
        return f"   does not exist yet, and closes {what}"
    if not os.access(file, os.R_OK):
        return f"   cannot be read, and closes {what}"
    return ""


def _open(site: Site) -> list[str]:
    path = site.mount + "/"
    if site.url is not None:
        return [f"{site.url}/   (through the server in front, to {', '.join(map(str, site.listen))})"]
    found = [url for listen in site.listen for url in urls(listen, path)]
    paths = [str(listen) for listen in site.listen if listen.is_path]
    more = len(found) - _MOST_URLS
    return [*found[:_MOST_URLS], *([f"and {more} more addresses"] if more > 0 else []), *paths]


def _reach(site: Site) -> list[str]:
    """How others get to what only this machine can reach."""
    if site.url is not None or not all(listen.loopback for listen in site.listen):
        return []
    here: Listen | None = next((listen for listen in site.listen if not listen.is_path), None)
    if here is None:
        return []
    return [
        "only this machine reaches it. --lan opens it to the network;",
        f"or, from another machine: ssh -L {here.port}:{here.host}:{here.port} THIS-MACHINE",
    ]


def _count(number: int) -> str:
    return f"{number} project" if number == 1 else f"{number} projects"
