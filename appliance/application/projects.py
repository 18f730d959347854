"""Which Trac environments are served under which names.

One environment at the root of the mount; or several, each at `/NAME`, given one by one or as the children of
a parent directory, which is looked at again for each request, so that a project created later is there at
once. Names are a single segment of the path and are never joined to the parent directory unchecked.
"""

from __future__ import annotations

import fnmatch
import os
from typing import Mapping

from appliance.errors import UserError


class Projects:
    """`single` is the one environment at the root, or None; then `find` and `all` know the names."""

    def __init__(self, single: str | None, named: dict[str, str], parent: str | None) -> None:
        self.single = single
        self._named = named
        self._parent = parent
        self._found: dict[str, str] = {}  # children of the parent that were asked for before

    def find(self, name: str) -> str | None:
        """The environment's directory, or None."""
        path = self._found.get(name)
        if path is not None and os.path.isfile(os.path.join(path, "VERSION")):
            return path
        if name in self._named:
            return self._named[name]
        if self._parent is None or not _is_name(name) or _is_ignored(name, _ignored(self._parent)):
            return None
        path = os.path.join(self._parent, name)
        if not _looks_like_environment(path):
            return None
        self._found[name] = path
        return path

    def all(self) -> dict[str, str]:
        """Name and directory of each project there is now, sorted."""
        found = dict(self._named)
        if self._parent is not None:
            patterns = _ignored(self._parent)
            try:
                names = os.listdir(self._parent)
            except OSError:
                names = []
            for name in names:
                path = os.path.join(self._parent, name)
                if name not in found and not _is_ignored(name, patterns) and _looks_like_environment(path):
                    found[name] = path
        return dict(sorted(found.items(), key=lambda item: item[0].lower()))

    def directories(self) -> list[str]:
        """The environments' directories there are now."""
        return [self.single] if self.single is not None else list(self.all().values())


def from_options(environments: list[str], parent_dir: str | None, environment: Mapping[str, str]) -> Projects:
    """The projects that --env and --parent-dir name, or else the variables of the environment.

    Those are TRAC_ENV, which comes first as in Trac itself, TRAC_ENVS and TRAC_ENV_PARENT_DIR. Raises
    UserError.
    """
    if not environments and parent_dir is None:
        single = environment.get("TRAC_ENV")
        if single:
            return Projects(os.path.abspath(single), {}, None)
        environments = [word for word in environment.get("TRAC_ENVS", "").split(os.pathsep) if word]
        parent_dir = environment.get("TRAC_ENV_PARENT_DIR") or None
        if any("=" not in word for word in environments):
            raise UserError(
                f"TRAC_ENVS={environment['TRAC_ENVS']!r}: it is NAME=DIR, several joined by ':'", status=2
            )
    if not environments and parent_dir is None:
        raise UserError(
            "no Trac environment is named: give --env DIR, --env NAME=DIR or --parent-dir DIR, "
            "or set TRAC_ENV or TRAC_ENV_PARENT_DIR",
            status=2,
        )
    if parent_dir is not None:
        parent_dir = os.path.abspath(parent_dir)
        if not os.path.isdir(parent_dir):
            raise UserError(f"--parent-dir {parent_dir}: there is no such directory")
    if len(environments) == 1 and parent_dir is None and split(environments[0])[0] is None:
        return Projects(os.path.abspath(environments[0]), {}, None)
    named: dict[str, str] = {}
    for word in environments:
        name, directory = split(word)
        directory = os.path.abspath(directory)
        name = os.path.basename(directory) if name is None else name
        if not _is_name(name):
            raise UserError(f"--env {word}: {name!r} cannot be the name of a project", status=2)
        if named.setdefault(name, directory) != directory:
            raise UserError(
                f"two environments would be at /{name}: {named[name]} and {directory}; give one of them "
                "another name with --env NAME=DIR",
                status=2,
            )
    return Projects(None, named, parent_dir)


def split(word: str) -> tuple[str | None, str]:
    """Name (None without one) and directory of --env's NAME=DIR or DIR."""
    name, equals, directory = word.partition("=")
    if not equals or os.sep in name:
        return None, word
    return name, directory


def _is_name(name: str) -> bool:
    return bool(name) and name not in (".", "..") and os.sep not in name and name.isprintable()


def _ignored(parent: str) -> list[str]:
    """The patterns of Trac's own .tracignore; without that file, names with a leading dot."""
    try:
        with open(os.path.join(parent, ".tracignore"), encoding="utf-8", errors="surrogateescape") as lines:
            return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    except OSError:
        return [".*"]


def _is_ignored(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _looks_like_environment(path: str) -> bool:
    # One that has lost either of the two is broken, which is worth saying; other directories are not.
    return any(os.path.isfile(os.path.join(path, name)) for name in ("VERSION", "conf/trac.ini"))
