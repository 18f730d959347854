"""The command line: one docopt program, one module per command under `commands/`.

The role comes first: this module imports nothing but the command that was asked for, so that only the front
ever imports gevent, and an application process imports no server.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from docopt import DocoptExit, docopt

from appliance import __version__
from appliance.errors import UserError
from appliance.usage import explain

USAGE = """fcgibox: the web server for applications that live behind FastCGI.

Usage:
  fcgibox <command> [<arguments>...]
  fcgibox -h | --help
  fcgibox --version

Commands:
  recipe [NAME ...]        run an application; without a name: list them
  serve CONFIG             run a lighttpd.conf
  check CONFIG             read a configuration and say what is wrong with it
  explain CONFIG ...       what a configuration does with a request
  status, top              what the running server and its applications do
  reload, restart, stop    talk to the running server
  app trac|wsgi ...        the application side alone, for somebody else's front
  spawn ...                start a FastCGI program for any web server, as spawn-fcgi does
  trac-admin DIR ...       the bundled Trac's own administration
  passwd FILE USER         set, delete or verify a password
  version                  what this is made of
  help [NAME]              what an option of the configuration or a command means

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
    "explain": "explain",
    "status": "control",
    "top": "control",
    "reload": "control",
    "restart": "control",
    "stop": "control",
    "app": "app",
    "spawn": "spawn",
    "trac-admin": "trac_admin",
    "passwd": "passwd",
    "version": "version",
    "help": "help",
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
        print(f"fcgibox: {explain(str(error), words, USAGE, 'fcgibox --help')}", file=sys.stderr)
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
    arguments = [name, *options["<arguments>"]]
    if name == "help" and len(arguments) > 1 and arguments[1] in COMMANDS:
        return _dispatch([arguments[1], "--help"])
    module = importlib.import_module(f"appliance.commands.{COMMANDS[name]}")
    try:
        status: int = module.run(arguments)
    except DocoptExit as refusal:
        asking, documented = f"fcgibox {name} --help", "\n".join(_help_texts(module))
        if name == "recipe" and len(arguments) > 1:
            from recipes import registry

            asking = f"fcgibox recipe {arguments[1]} --help"
            documented = registry.find(arguments[1]).module().USAGE
        raise UserError(explain(str(refusal), arguments, documented, asking), status=2) from None
    return status


def _help_texts(module: ModuleType) -> list[str]:
    return [text for key, text in vars(module).items() if key.endswith("USAGE") and isinstance(text, str)]


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
