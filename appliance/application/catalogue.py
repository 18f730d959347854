"""What the index page says about a project, without opening it.

Opening an environment costs 50 ms and up to a megabyte for good, too much for a page that may list hundreds;
name and description stand in trac.ini, and whether it could be opened is mostly seen from the outside.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from typing import Any, NamedTuple

_SQLITE = "sqlite:"


class Summary(NamedTuple):
    """A project's name and description for humans, and why it is unavailable, if it is."""

    title: str
    description: str
    unavailable: str | None


class Catalogue:
    """Summaries of environments, read again when trac.ini changes."""

    def __init__(self, database_version: int) -> None:
        """`database_version` is what Trac wants, trac.db_default.db_version."""
        self._wanted = database_version
        self._known: dict[str, tuple[int, Any]] = {}

    def summary(self, name: str, path: str, failure: str | None) -> Summary:
        """The project's summary. `failure` is why it could not be opened the last time, if so."""
        from trac.core import TracError

        ini = os.path.join(path, "conf", "trac.ini")
        try:
            config = self._configuration(path, ini)
            title = config.get("project", "name") or name
            description = config.get("project", "descr")
            database = config.get("trac", "database")
        except (OSError, TracError, UnicodeDecodeError):
            return Summary(name, "", "its trac.ini cannot be read")
        return Summary(title, description, failure or self._problem(path, database))

    def _configuration(self, path: str, ini: str) -> Any:
        from trac.config import Configuration

        changed = os.stat(ini).st_mtime_ns
        held = self._known.get(path)
        if held is None or held[0] != changed:
            with open(ini, encoding="utf-8"):  # Trac takes an unreadable file for an empty one
                held = self._known[path] = (changed, Configuration(ini))
        return held[1]

    def _problem(self, path: str, database: str) -> str | None:
        if not os.path.isfile(os.path.join(path, "VERSION")):
            return "it is not a complete environment"
        if not database.startswith(_SQLITE):
            return None  # asking a database server for each project would take too long
        file = os.path.join(path, database[len(_SQLITE) :].partition("?")[0])
        try:
            uri = f"file:{urllib.parse.quote(os.fsencode(file))}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=1)
            try:
                row = connection.execute(
                    "SELECT value FROM system WHERE name = 'database_version'"
                ).fetchone()
            finally:
                connection.close()
        except sqlite3.Error:
            return "its database cannot be read"
        return None if row and str(row[0]) == str(self._wanted) else "it needs an upgrade"
