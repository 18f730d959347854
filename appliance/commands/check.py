"""`fcgibox check CONFIG`: read a configuration as `serve` would, start nothing, say what is in it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from docopt import docopt

from appliance.config import Configuration, ConfigurationError, PoolDefinition, load_file

USAGE = """Read a configuration, say what is wrong with it, or what it would start.

Usage:
  fcgibox check [--allow-shell] CONFIG
  fcgibox check -h | --help

Options:
  --allow-shell   run the commands of include_shell lines (Debian's lighttpd.conf has two)

All errors are reported at once, each with its line and what to do; the exit status is 1 then.
"""


def run(argv: list[str]) -> int:
    """Check one file; the exit status is 0 if it could be served."""
    options = docopt(USAGE, argv=argv)
    path = str(options["CONFIG"])
    try:
        configuration = load_file(path, allow_shell=bool(options["--allow-shell"]))
    except ConfigurationError as error:
        number = len(error.diagnostics)
        print(_printable(str(error)), file=sys.stderr)
        print(f"\n{path}: {number} error{'s' if number > 1 else ''}", file=sys.stderr)
        return 1
    print(f"{_printable(path)}: fine")
    for line in _summary(configuration):
        print(_printable(line))
    return 0


def _summary(configuration: Configuration) -> Iterator[str]:
    yield from _list("listens on", (listener.name for listener in configuration.listeners()))
    yield from _list("pools", map(_describe, configuration.pools()))
    yield from _list("password files", configuration.password_files())
    yield from _list("includes", configuration.files)
    yield from _list("notices", (notice.sentence for notice in configuration.notices))


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {title if number == 0 else '':15} {line}"


def _describe(pool: PoolDefinition) -> str:
    where = f"unix:{pool.socket}" if pool.socket else f"{pool.host}:{pool.port}"
    text = f"{pool.name}: {pool.protocol} at {where}"
    if pool.spawned:
        procs = (
            f"{pool.min_procs}" if pool.min_procs == pool.max_procs else f"{pool.min_procs}-{pool.max_procs}"
        )
        text += f", {procs} × {' '.join(pool.command)}"
    if pool.slots is not None:
        text += f", {pool.slots} request{'s' if pool.slots > 1 else ''} at once in each process"
    return text


def _printable(text: str) -> str:
    """Octets of a path that are no UTF-8 cannot be printed as they are."""
    return text.encode("utf-8", "backslashreplace").decode()
