"""`fcgibox serve`: run a lighttpd.conf."""

from __future__ import annotations

from pathlib import Path

from docopt import docopt

from appliance.errors import UserError
from appliance.supervisor.main import RunOptions
from appliance.supervisor.main import run as supervise
from appliance.supervisor.source import FileSource

USAGE = """Run a lighttpd.conf in the foreground.

Usage:
  fcgibox serve [options] CONFIG

Options:
  --name NAME        what `fcgibox status NAME` calls this instance; made from the file's name otherwise
  --limit SECONDS    how long running requests may take at a stop or reload [default: 30]
  --run-dir DIR      directory for the control socket and the applications' sockets
  --allow-shell      let the file run programs (include_shell)
  -h --help          show this

Signals: TERM or INT completes running requests and ends, a second one ends at once; HUP reads the file again
(an error in it changes nothing); USR1 opens the log files again. `fcgibox reload` and `fcgibox stop` do the
same.

Examples:
  fcgibox serve lighttpd.conf
  fcgibox check lighttpd.conf && fcgibox reload
"""


def run(argv: list[str]) -> int:
    """Serve until stopped."""
    options = docopt(USAGE, argv=argv)
    path = Path(options["CONFIG"])
    if not path.is_file():
        what = (
            "is a directory" if path.is_dir() else "does not exist" if not path.exists() else "is not a file"
        )
        raise UserError(f"{path} {what}; give the path of a lighttpd.conf")
    name = options["--name"]
    if name is not None and (not name or "/" in name or name.startswith(".") or len(name) > 64):
        raise UserError(f"--name {name!r} cannot be the name of a directory", status=2)
    directory = options["--run-dir"]
    source = FileSource(path, name, allow_shell=options["--allow-shell"])
    return supervise(
        source,
        RunOptions(
            graceful_limit=seconds(options["--limit"], "--limit"),
            run_directory=Path(directory).absolute() if directory else None,
        ),
    )


def seconds(text: str, option: str) -> float:
    """A non-negative number of seconds from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise UserError(f"{option} {text}: give a number of seconds between 0 and 86400", status=2)
    return value
