"""The command line: one docopt program, one module per command under `commands/`.

The role comes first: this module imports nothing but the command that was asked for, so that only the front
ever imports gevent, and an application process imports no server.
"""

from __future__ import annotations

import importlib
import os
import sys

from docopt import DocoptExit, docopt

from appliance import __version__
from appliance.errors import UserError

USAGE = """fcgibox: the web server for applications that live behind FastCGI.

Usage:
  fcgibox <command> [<arguments>...]
  fcgibox -h | --help
  fcgibox --version

Commands:
  recipe [NAME ...]        run an application; without a name: list them
  serve CONFIG             run a lighttpd.conf
  check CONFIG             read a configuration and say what is wrong with it
  status, reload, stop     talk to the running server
  app trac ...             the application side alone, for somebody else's front
  trac-admin DIR ...       the bundled Trac's own administration
  passwd FILE USER         set, delete or verify a password
  version                  what this is made of

`fcgibox COMMAND --help` explains each.
"""

EXAMPLES = """fcgibox: the web server for applications that live behind FastCGI.

  fcgibox recipe trac --env ./mytrac              a new Trac, on http://127.0.0.1:8000/
  fcgibox recipe trac --parent-dir /srv/trac      every Trac below a directory, each at its name
  fcgibox serve lighttpd.conf                     run the configuration you have
  fcgibox passwd ./mytrac.htpasswd joe            give somebody a password

`fcgibox --help` lists all commands.
"""

COMMANDS = {
    "recipe": "recipe",
    "serve": "serve",
    "check": "check",
    "status": "control",
    "reload": "control",
    "stop": "control",
    "app": "app",
    "trac-admin": "trac_admin",
    "passwd": "passwd",
    "version": "version",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if not words:
            print(EXAMPLES, end="")
            return 0
        return _dispatch(words)
    except DocoptExit as error:
        print(error, file=sys.stderr)
        return 2
    except UserError as error:
        print(f"fcgibox: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        # The reader of our output left (`fcgibox check … | head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130


def _dispatch(words: list[str]) -> int:
    options = docopt(USAGE, argv=words, version=f"fcgibox {__version__}", options_first=True)
    name = str(options["<command>"])
    if name not in COMMANDS:
        raise UserError(
            f"there is no command {name!r}{_nearest(name)}; `fcgibox --help` lists them", status=2
        )
    module = importlib.import_module(f"appliance.commands.{COMMANDS[name]}")
    status: int = module.run([name, *options["<arguments>"]])
    return status


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
