"""The options, read and checked for themselves: nothing here looks at the disk or the network.

What ends up in configuration text is checked for what that text can say: lighttpd's strings know `\\"`
and no other escape we could rely on, and `:` separates lists in environment variables.
"""

from __future__ import annotations

import locale
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from appliance.errors import UserError
from recipes.trac.listen import Listen, parse

INDEX = "/"
"""The index page's name in `--htpasswd /=FILE`."""

_NAME = re.compile(r"[\w][\w .,+~@!'-]*")
_MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True)
class Options:
    """What the user said; paths are absolute, lists are in the order given."""

    environments: tuple[tuple[str | None, Path], ...]
    """Name and directory; the name is None for the one environment that is the whole site."""
    parent: Path | None
    demo: bool
    mount: str
    """"" for the root, else "/prefix" without a slash at its end."""
    listen: tuple[Listen, ...]
    url: str | None
    password_files: Mapping[str, Path]
    """By project name; INDEX is the index page."""
    password_file: Path | None
    """The one of all projects that have none of their own."""
    realm: str | None
    private: bool
    user: str | None
    processes: tuple[int, int] | None
    locale: str | None
    plugins: Path | None
    access_log: str | None


def read(given: Mapping[str, Any]) -> Options:
    """Check docopt's answer. Raises UserError (status 2) that names the option."""
    environments, parent = _projects(given["--env"], given["--parent-dir"])
    named, common = _password_files(given["--htpasswd"], environments, parent is not None)
    return Options(
        environments=environments,
        parent=parent,
        demo=given["--demo"],
        mount=_mount(given["--at"]),
        listen=_listen(given["--listen"], given["--lan"]),
        url=_url(given["--url"]),
        password_files=named,
        password_file=common,
        realm=_text("--realm", given["--realm"]),
        private=given["--private"],
        user=given["--user"],
        processes=_processes(given["--processes"]),
        locale=_locale(given["--locale"]),
        plugins=None if given["--plugins-dir"] is None else _path("--plugins-dir", given["--plugins-dir"]),
        access_log=_access_log(given["--access-log"]),
    )


def valid_name(name: str) -> bool:
    """Whether a project of this name can have conditions of its own in the text."""
    return _NAME.fullmatch(name) is not None


def expressible(path: str) -> str | None:
    """Why a path cannot be written into the configuration; None if it can."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        return "it holds a control character"
    if "\\" in path:
        return "it holds a backslash, which the configuration language cannot say"
    if ":" in path:
        return 'it holds a ":", which separates paths in the environment of the Trac processes'
    return None


def _projects(env: list[str], parent: str | None) -> tuple[tuple[tuple[str | None, Path], ...], Path | None]:
    if env and parent is not None:
        raise _wrong(
            "--env and --parent-dir exclude each other: an environment elsewhere can be linked into it"
        )
    if parent is not None:
        return (), _path("--parent-dir", parent)
    if not env:
        raise _wrong(
            "which Trac? Say --env DIR (a missing or empty DIR becomes a new one) or --parent-dir DIR; "
            "`fcgibox recipe trac --help` explains"
        )
    found: list[tuple[str | None, Path]] = []
    for value in env:
        name, directory = _named(value)
        path = _path("--env", directory)
        if name is None and len(env) > 1:
            name = path.name
        if name is not None and not valid_name(name):
            raise _wrong(
                f"--env {value}: {name!r} cannot be the name of a project in a URL; "
                f"give another: --env NAME={directory}"
            )
        found.append((name, path))
    _no_twins(found)
    return tuple(found), None


def _no_twins(found: list[tuple[str | None, Path]]) -> None:
    names: dict[str | None, Path] = {}
    paths: dict[str, str | None] = {}
    for name, path in found:
        if name in names:
            raise _wrong(
                f"two projects are called {name!r} ({names[name]} and {path}); give one another name: "
                f"--env NAME={path}"
            )
        real = os.path.realpath(path)
        if real in paths:
            raise _wrong(f"{path} is there twice, as {paths[real]!r} and as {name!r}")
        names[name], paths[real] = path, name


def _named(value: str) -> tuple[str | None, str]:
    name, equals, rest = value.partition("=")
    # A "/" before the "=" makes it a path: ./a=b is how to say a directory called "a=b".
    return (name, rest) if equals and "/" not in name else (None, value)


def _password_files(
    values: list[str], environments: tuple[tuple[str | None, Path], ...], open_ended: bool
) -> tuple[dict[str, Path], Path | None]:
    named: dict[str, Path] = {}
    common: Path | None = None
    known = {name for name, _ in environments if name is not None}
    for value in values:
        name, file = (INDEX, value[2:]) if value.startswith("/=") else _named(value)
        path = _path("--htpasswd", file)
        if name is None:
            if common is not None:
                raise _wrong(
                    f"--htpasswd says two files for all projects, {common} and {path}; use NAME=FILE"
                )
            common = path
            continue
        if name != INDEX and not open_ended and name not in known:
            names = ", ".join(sorted(known)) or "the one environment has no name, so say --htpasswd FILE"
            raise _wrong(f"--htpasswd {value}: there is no project {name!r} ({names})")
        if name in named:
            raise _wrong(f"--htpasswd says two files for {name!r}, {named[name]} and {path}")
        named[name] = path
    return named, common


def _path(option: str, value: str) -> Path:
    if not value:
        raise _wrong(f"{option} needs a path")
    path = Path(os.path.abspath(os.path.expanduser(value)))
    reason = expressible(str(path))
    if reason is not None:
        raise _wrong(f"{option} {value!r}: {reason}; rename it or use a symbolic link")
    return path


def _mount(value: str) -> str:
    mount = "/" + value.strip("/")
    parts = mount[1:].split("/")
    if mount == "/":
        return ""
    if not all(valid_name(part) for part in parts):
        raise _wrong(f"--at {value}: a prefix is like /trac or /tools/trac")
    return mount


def _listen(values: list[str], lan: bool) -> tuple[Listen, ...]:
    found: list[Listen] = []
    for value in values or ["8000"]:
        try:
            listen = parse(value, lan)
        except ValueError as error:
            raise _wrong(f"--listen {value}: {error}") from None
        if listen in found:
            raise _wrong(f"--listen {value} is there twice")
        found.append(listen)
    if lan and not any(listen.everywhere for listen in found):
        raise _wrong("--lan has nothing to open: every --listen names its address; leave one of the two out")
    return tuple(found)


def _url(value: str | None) -> str | None:
    if value is None:
        return None
    wrong = _wrong(
        f"--url {value}: say what browsers see, like https://example.org or https://example.org/trac"
    )
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise wrong
    if parts.query or parts.fragment or parts.username is not None or not re.fullmatch(r"[!-~]+", value):
        raise wrong
    if '"' in value or "\\" in value or ".." in unquote(parts.path).split("/"):
        raise wrong
    return value.rstrip("/")


def _text(option: str, value: str | None) -> str | None:
    if value is None:
        return None
    if not value or not value.isprintable() or '"' in value or "\\" in value:
        raise _wrong(f"{option} {value!r}: printable text without quotes and backslashes, please")
    return value


def _processes(value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", value)
    if match is None:
        raise _wrong(f"--processes {value}: say MIN-MAX, like 1-4, or one number")
    low, high = int(match[1]), int(match[2] or match[1])
    if not 1 <= low <= high <= _MOST_PROCESSES:
        raise _wrong(f"--processes {value}: 1 is the least, {_MOST_PROCESSES} the most, and MIN comes first")
    return low, high


def _locale(value: str | None) -> str | None:
    if value is None:
        return None
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, value)
    except (locale.Error, ValueError):
        raise _wrong(
            f"--locale {value}: this machine has no such locale; `locale -a` lists those it has "
            "(Debian: dpkg-reconfigure locales)"
        ) from None
    finally:
        locale.setlocale(locale.LC_ALL, before)
    return _text("--locale", value)


def _access_log(value: str | None) -> str | None:
    if value is None:
        return None
    # lighttpd's spelling of the terminal.
    return "/dev/stdout" if value == "-" else str(_path("--access-log", value))


def _wrong(message: str) -> UserError:
    return UserError(message, status=2)
