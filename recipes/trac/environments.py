"""Finding and checking environments. Nothing here changes one.

What Trac would refuse at the first request is found at the start: another database, a schema that waits
for an upgrade, a version control system that the bundled Trac does not have.
"""

from __future__ import annotations

import contextlib
import enum
import fnmatch
import importlib.util
import os
import pwd
import shlex
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from appliance.errors import UserError
from recipes.trac.inifile import TracIni
from recipes.trac.machine import DATABASE_VERSION

STAGING = ".fcgibox-new"
"""The directory inside an environment-to-be in which it is made (`creation`)."""
READY = ".fcgibox-ready"
"""What it is called when the environment in it is complete, and only has to move one level up."""

_IGNORED = frozenset(("lost+found", STAGING))
_DATABASE = "sqlite:db/trac.db"
_SIGNATURE = b"Trac Environment Version"
_DRIVERS = {"postgres": ("PostgreSQL", ("psycopg2",)), "mysql": ("MySQL", ("pymysql", "MySQLdb"))}


class Kind(enum.Enum):
    """What a directory is to us."""

    MISSING = "missing"
    EMPTY = "empty"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the configuration needs to know of an existing environment."""

    attachment_limit: int
    """Octets."""
    shared: tuple[Path, ...]
    """[inherit] directories whose files Trac may send: htdocs and plugins."""
    database: Path
    """The directory of the SQLite file."""


def examine(directory: Path) -> Kind:
    """What is there. Raises UserError for what is neither an environment nor free for a new one."""
    try:
        names = set(os.listdir(directory))
    except FileNotFoundError:
        if os.path.lexists(directory):
            raise UserError(f"{directory} is a symbolic link to something that does not exist") from None
        return Kind.MISSING
    except NotADirectoryError:
        raise UserError(f"{directory} is not a directory; a Trac environment is one") from None
    except PermissionError:
        raise UserError(f"cannot read {directory}: {_closed(directory)}") from None
    except OSError as error:
        raise UserError(f"cannot read {directory}: {error.strerror}") from None
    if is_environment(directory):
        return Kind.ENVIRONMENT
    if names <= _IGNORED or is_environment(directory / READY):
        return Kind.EMPTY
    projects = sorted(name for name in names if is_environment(directory / name))
    if projects:
        raise UserError(
            f"{directory} is not a Trac environment, but holds {_some(projects)}: "
            f"did you mean --parent-dir {shlex.quote(str(directory))}?"
        )
    raise UserError(
        f"{directory} is not a Trac environment, and not empty: it holds {_some(sorted(names - _IGNORED))}. "
        "Nothing was touched; choose a missing or empty directory for a new environment"
    )


def _closed(directory: Path) -> str:
    try:
        owner = pwd.getpwuid(directory.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "permission denied; start this as its owner, or as root"
    return f"it belongs to {owner}; start this as {owner} (sudo -u {owner} …), or as root"


def is_environment(directory: Path) -> bool:
    """Trac's own mark: the first words of the file VERSION."""
    try:
        with open(os.open(directory / "VERSION", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


def inspect(directory: Path) -> Facts:
    """Read an existing environment's trac.ini. Raises UserError."""
    ini = TracIni(directory / "conf" / "trac.ini")
    shared = (ini.directory("inherit", "htdocs_dir"), ini.directory("inherit", "plugins_dir"))
    return Facts(
        attachment_limit=ini.integer("attachment", "max_size", 262144),
        shared=tuple(path for path in shared if path is not None),
        database=_database(directory, ini).parent,
    )


def validate(directory: Path) -> str | None:
    """Why the bundled Trac cannot serve this environment, and what to do; None if it can."""
    try:
        ini = TracIni(directory / "conf" / "trac.ini")
    except UserError as error:
        return str(error)
    uri = ini.text("trac", "database", _DATABASE)
    scheme = uri.partition(":")[0]
    if scheme in _DRIVERS:
        product, drivers = _DRIVERS[scheme]
        if any(_importable(driver) for driver in drivers):
            return None
        return (
            f"{directory} keeps its data in {product}, which the bundled Trac does not support yet; "
            "its present Trac can move it to SQLite: "
            f"`trac-admin {shlex.quote(str(directory))} convert_db sqlite:db/trac.db`"
        )
    if scheme != "sqlite":
        return f"{directory}: [trac] database in conf/trac.ini begins with {scheme!r}; Trac knows sqlite:PATH"
    return _subversion(directory, ini) or _schema(directory, _database(directory, ini))


def _database(directory: Path, ini: TracIni) -> Path:
    """The SQLite file, as `[trac] database` names it: sqlite:PATH?options, from the environment on."""
    scheme, _, path = ini.text("trac", "database", _DATABASE).partition(":")
    return directory / (path.partition("?")[0] if scheme == "sqlite" else _DATABASE.partition(":")[2])


def projects_below(parent: Path) -> list[str]:
    """Directories below a parent that Trac takes for projects, whatever is in them. Raises UserError."""
    try:
        with os.scandir(parent) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        raise UserError(
            f"--parent-dir {parent} does not exist: mkdir -p {shlex.quote(str(parent))}"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read --parent-dir {parent}: {error.strerror}") from None
    patterns = _ignored(parent)
    return [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _ignored(parent: Path) -> list[str]:
    """Trac's rule: the lines of .tracignore, and dot-directories where there is none."""
    try:
        lines = (parent / ".tracignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return [".*"]
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def _schema(directory: Path, database: Path) -> str | None:
    if not database.is_file():
        return f"{directory}: its database {database} does not exist; restore it from a backup"
    try:
        # Read-only, so that looking can never change or lock anything.
        uri = f"file:{quote(str(database))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=2)) as connection:
            row = connection.execute("SELECT value FROM system WHERE name = 'database_version'").fetchone()
        version = int(row[0]) if row else 0
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "readonly" in str(error) or "unable to open" in str(error):
            return None  # busy, or waiting for the recovery that Trac does when it opens it
        return f"{directory}: {database} is not a database of Trac ({error}); restore it from a backup"
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        return f"{directory}: {database} is not a database of Trac ({error}); restore it from a backup"
    if version < DATABASE_VERSION:
        return (
            f"{directory} is from an older Trac (database version {version}; this one works with "
            f"{DATABASE_VERSION}): make a backup, then "
            f"`fcgibox trac-admin {shlex.quote(str(directory))} upgrade`"
        )
    if version > DATABASE_VERSION:
        return (
            f"{directory} is from a newer Trac (database version {version}; this one works with "
            f"{DATABASE_VERSION}): use a newer fcgibox"
        )
    return None


def _subversion(directory: Path, ini: TracIni) -> str | None:
    if _importable("svn"):
        return None
    kinds = {
        value for option, value in ini.options("repositories").items() if option.rsplit(".", 1)[-1] == "type"
    }
    if ini.text("trac", "repository_dir"):
        kinds.add(ini.text("trac", "repository_type", "svn"))
    if not kinds & {"svn", "direct-svnfs", "svnfs"}:
        return None
    return (
        f"{directory} shows a Subversion repository, which the bundled Trac does not support yet; "
        "remove it from [repositories] in conf/trac.ini to serve the rest"
    )


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
