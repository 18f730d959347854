"""`fcgibox trac-admin`: the bundled Trac's own administration program.

Its messages advise to run `trac-admin`, which is not on this machine; they name this command instead. What
`deploy` writes starts a Python interpreter that may not exist either: its FastCGI script becomes one that
starts us.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.application import trac_library
from appliance.program import NAME, command

USAGE = """Administer a Trac environment.

Usage:
  fcgibox trac-admin DIR COMMAND [ARGUMENTS...]
  fcgibox trac-admin DIR                            interactive
  fcgibox trac-admin help [COMMAND]                 all commands, or one
  fcgibox trac-admin -h | --help

Examples:
  fcgibox trac-admin /srv/trac upgrade              after an update of Trac or of a plugin
  fcgibox trac-admin /srv/trac permission add joe TRAC_ADMIN
  fcgibox trac-admin /srv/trac hotcopy /backup/trac
  fcgibox trac-admin /srv/trac deploy /srv/www/trac cgi-bin/trac.fcgi and htdocs/ for another web server

Run it as the user Trac runs as: what it creates belongs to whoever runs it. Plugins of FCGIBOX_PLUGINS_DIR
are loaded too.
"""

_SCRIPT = """#!/bin/sh
# Serves Trac over FastCGI; a web server starts it with the listening socket on standard input.
if [ -z "$TRAC_ENV" ] && [ -z "$TRAC_ENVS" ] && [ -z "$TRAC_ENV_PARENT_DIR" ]; then
    TRAC_ENV={environment}
    export TRAC_ENV
fi
{path}exec {command} app trac
"""


def run(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    arguments = argv[1:]
    if arguments in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    plugins = trac_library.plugin_directories(None, os.environ)
    trac_library.prepare(os.environ)
    from trac import env as trac_env
    from trac.admin import console

    trac_library.install_plugins(plugins)
    for module in (trac_env, console):
        module._ = _naming_us(module._)
    status = console.run(arguments)
    if not status and arguments[1:2] == ["deploy"] and len(arguments) == 3:
        _replace_script(Path(arguments[2]), Path(arguments[0]).absolute())
    return int(status or 0)


def _naming_us(translate: Callable[..., Any]) -> Callable[..., Any]:
    """Trac's translation function, with the advice to run trac-admin made true."""

    def translated(*args: Any, **kwargs: Any) -> Any:
        text = translate(*args, **kwargs)
        if isinstance(text, str) and "trac-admin " in text and f"{NAME} trac-admin " not in text:
            return text.replace("trac-admin ", f"{NAME} trac-admin ")
        return text

    return translated


def _replace_script(target: Path, environment: Path) -> None:
    """Make TARGET/cgi-bin/trac.fcgi start this program."""
    scripts = target / "cgi-bin"
    words = command()
    # The package run from its source is only found where it is.
    path = ""
    if words[1:2] == ["-m"]:
        source = shlex.quote(str(Path(__file__).resolve().parents[2]))
        path = f"PYTHONPATH={source}${{PYTHONPATH:+:$PYTHONPATH}}\nexport PYTHONPATH\n"
    text = _SCRIPT.format(environment=shlex.quote(str(environment)), path=path, command=shlex.join(words))
    script = scripts / "trac.fcgi"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    if getattr(sys, "frozen", False):
        # They name this file as their Python interpreter, which it is not.
        for name in ("trac.cgi", "trac.wsgi"):
            (scripts / name).unlink(missing_ok=True)
        print(f"trac.cgi and trac.wsgi need a Python with Trac installed; {script} needs only {words[0]}")
