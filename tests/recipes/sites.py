"""Small directories that look like Trac environments to the recipe, for tests that need no running Trac."""

from __future__ import annotations

import os
import pwd
import sqlite3
from pathlib import Path
from typing import Any

from docopt import docopt

from recipes import trac
from recipes.trac.machine import DATABASE_VERSION
from recipes.trac.plan import TracPlan

OWNER = "www-data"


def give(*paths: Path) -> None:
    """As root, give what is there to an ordinary user, as an administrator would have."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(OWNER)
        for path in paths:
            for found in [path, *path.rglob("*")]:
                os.chown(found, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def environment(directory: Path, ini: str = "", version: int = DATABASE_VERSION) -> Path:
    """An environment as far as the recipe looks: mark, trac.ini, and a database of this schema version."""
    for part in ("conf", "db", "htdocs", "log", "plugins", "templates"):
        (directory / part).mkdir(parents=True)
    (directory / "VERSION").write_text("Trac Environment Version 1\n")
    (directory / "conf" / "trac.ini").write_text(ini or "[trac]\ndatabase = sqlite:db/trac.db\n")
    with sqlite3.connect(directory / "db" / "trac.db") as connection:
        connection.execute("CREATE TABLE system (name TEXT PRIMARY KEY, value TEXT)")
        connection.execute("INSERT INTO system VALUES ('database_version', ?)", (str(version),))
    connection.close()
    give(directory)
    return directory


def plan(*words: Any) -> TracPlan:
    """What `fcgibox recipe trac` makes of these words, in this process."""
    arguments = ["recipe", "trac", *map(str, words)]
    return trac.plan(docopt(trac.USAGE, argv=arguments))
