"""The process that makes an environment: the only part of the recipe that imports Trac.

It runs as the environment's owner, reads what to do as JSON on standard input, and ends with 0 when
everything is there. What it prints is for the error message of the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

_UMASK = 0o027


def options(project: str) -> list[tuple[str, str, str]]:
    """What a new environment's trac.ini says beyond Trac's own defaults."""
    return [
        ("project", "name", project),
        ("project", "descr", ""),
        ("trac", "database", "sqlite:db/trac.db"),
        # Trac's own limit is 256 kB, less than a screenshot.
        ("attachment", "max_size", str(50 << 20)),
        ("components", "tracopt.versioncontrol.git.*", "enabled"),
        # Trac's default is a picture that does not exist.
        ("header_logo", "src", "common/trac_banner.png"),
        ("header_logo", "alt", project),
    ]


def main() -> int:
    """Make the environment that standard input describes."""
    request: dict[str, Any] = json.load(sys.stdin)
    warnings.simplefilter("ignore")  # pkg_resources tells every user of its deprecation
    os.umask(_UMASK)
    try:
        _make(Path(request["directory"]), request["project"], request["admin"], request["demo"])
    except Exception as error:
        # The boundary of this process: Trac and its database raise what they like; the reason is what counts.
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _make(directory: Path, project: str, admin: str, demo: bool) -> None:
    from trac.env import Environment
    from trac.perm import PermissionSystem

    environment = Environment(str(directory), create=True, options=options(project))
    try:
        PermissionSystem(environment).grant_permission(admin, "TRAC_ADMIN")
        if demo:
            from recipes.trac.demo import populate

            populate(environment, admin)
    finally:
        environment.shutdown()
    # Its first lines name the directory in which it was made, which will not exist any more.
    with contextlib.suppress(FileNotFoundError):
        (directory / "log" / "trac.log").unlink()
