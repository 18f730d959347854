"""`fcgibox trac-admin`: the bundled Trac's own administration program.

Its messages advise to run `trac-admin`, which is not on this machine; they name this command instead. What
`deploy` writes starts a Python interpreter that may not exist either: its FastCGI script becomes one that
starts us.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from appliance import script
from appliance.application import trac_library
from appliance.program import NAME, command
from appliance.supervisor.identity import Identity, closed_to, permissions

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

Started as root it becomes the owner of DIR (for initenv: of the directory around it), because what it creates
belongs to whoever runs it, and Trac never runs as root. Plugins of FCGIBOX_PLUGINS_DIR are loaded too.
"""

_WITHOUT_DIRECTORY = ("help", "-h", "--help", "-v", "--version")
_USUAL = "www-data"
_BEFORE = """if [ -z "$TRAC_ENV" ] && [ -z "$TRAC_ENVS" ] && [ -z "$TRAC_ENV_PARENT_DIR" ]; then
    TRAC_ENV={environment}
    export TRAC_ENV
fi
"""


def run(argv: list[str]) -> int:
    """Run the command; return its exit status."""
    arguments = argv[1:]
    if arguments in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if not arguments or arguments[0] in _WITHOUT_DIRECTORY:
        return _administer(arguments)
    directory = Path(arguments[0]).absolute()
    if _become_owner(directory, arguments[1:]):
        return _administer(arguments)
    before = _of_root(directory)
    status = _administer(arguments)
    if arguments[1:2] == ["initenv"] and not status:
        print(
            "It belongs to root, and Trac never runs as root; give it to a user: "
            f"chown -R {_USUAL}: {shlex.quote(str(directory))}"
        )
    elif directory.is_dir():
        # A log that did not exist, for example: Trac could not write it.
        for path in _of_root(directory) - before:
            os.chown(path, directory.stat().st_uid, directory.stat().st_gid, follow_symlinks=False)
    return status


def _administer(arguments: list[str]) -> int:
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


def _become_owner(directory: Path, command: Sequence[str]) -> bool:
    """As root, become who owns the environment, or the place for it. False if we stay root.

    Otherwise a `config set` leaves a trac.ini that the running Trac cannot read any more, and root runs the
    plugins of an ordinary user.
    """
    if os.geteuid() != 0:
        return True
    place = directory if directory.is_dir() else directory.parent
    owner = place.stat() if place.is_dir() else None
    if owner is None or owner.st_uid == 0:
        return False
    try:
        entry = pwd.getpwuid(owner.st_uid)
    except KeyError:
        identity = Identity(owner.st_uid, owner.st_gid, (owner.st_gid,), str(owner.st_uid), "/")
    else:
        groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
        identity = Identity(entry.pw_uid, entry.pw_gid, groups, entry.pw_name, entry.pw_dir)
    if command[:1] in (["hotcopy"], ["deploy"]) and len(command) > 1:
        target = Path(command[1]).absolute()
        existing = next(path for path in (target, *target.parents) if path.is_dir())
        if closed_to(str(existing), identity) or not permissions(existing.stat(), identity) & 0o2:
            return False  # a backup is root's to put where only root writes
    identity.assume()
    os.environ["HOME"] = identity.home
    return True


def _of_root(directory: Path) -> set[Path]:
    """What belongs to root where Trac writes."""
    places = [directory / name for name in ("conf", "db", "log")]
    found = [
        path for place in places if place.is_dir() and not place.is_symlink() for path in place.iterdir()
    ]
    return {path for path in found if path.lstat().st_uid == 0}


def _naming_us(translate: Callable[..., Any]) -> Callable[..., Any]:
    """Trac's translation function, with the advice to run trac-admin made true."""

    def translated(*args: Any, **kwargs: Any) -> Any:
        text = translate(*args, **kwargs)
        if not isinstance(text, str):
            return text
        # After `initenv`: its own server is not here either.
        text = text.replace("the Trac standalone web server `tracd`", "it with the command below")
        text = re.sub(r"http://localhost:8000/\S+?(?=\.?$)", "http://localhost:8000/", text, flags=re.M)
        text = text.replace("tracd --port 8000 ", f"{NAME} recipe trac --env ")
        if "trac-admin " in text and f"{NAME} trac-admin " not in text:
            return text.replace("trac-admin ", f"{NAME} trac-admin ")
        return text

    return translated


def _replace_script(target: Path, environment: Path) -> None:
    """Make TARGET/cgi-bin/trac.fcgi start this program."""
    scripts = target / "cgi-bin"
    text = script.text(["app", "trac"], _BEFORE.format(environment=shlex.quote(str(environment))))
    fcgi = scripts / "trac.fcgi"
    fcgi.write_text(text, encoding="utf-8")
    fcgi.chmod(0o755)
    if getattr(sys, "frozen", False):
        # They name this file as their Python interpreter, which it is not.
        for name in ("trac.cgi", "trac.wsgi"):
            (scripts / name).unlink(missing_ok=True)
        print(f"trac.cgi and trac.wsgi need a Python with Trac installed; {fcgi} needs only {command()[0]}")
