"""Whether the user who runs Trac can get at everything it needs, and the command that mends it where not.

It asks the kernel, as that user (`accounts.run_as`): modes, groups, ACLs and read-only mounts all count then.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from appliance.errors import UserError
from recipes.trac.accounts import Account, run_as

READ = os.R_OK
WRITE = os.R_OK | os.W_OK


def require(account: Account, needs: Iterable[tuple[Path, int]]) -> None:
    """Check paths with what is needed of each (READ or WRITE); missing ones pass. Raises UserError."""
    listed = list(needs)
    problems: list[str] = run_as(account, lambda: _problems(account, listed, None))
    if problems:
        raise UserError(
            "\n  ".join([f"Trac runs as {account.name}, and", *problems])
            if problems[1:]
            else f"Trac runs as {account.name}, and {problems[0]}"
        )


def first_problem(account: Account, environment: Path, needs: Iterable[tuple[Path, int]]) -> str | None:
    """The first thing in an environment that this user cannot get at; its command mends the others too."""
    listed = list(needs)
    problems: list[str] = run_as(account, lambda: _problems(account, listed, environment)[:1])
    return f"Trac runs as {account.name}, and {problems[0]}" if problems else None


def not_writable(path: Path) -> Path | None:
    """The existing directory in which we, as who we are, would have to create this, and may not."""
    while not os.path.isdir(path):
        path = path.parent
    return None if os.access(path, os.W_OK | os.X_OK) else path


def require_directory(option: str, directory: Path) -> None:
    """What an option names can be created in this directory. Raises UserError."""
    if not directory.is_dir():
        raise UserError(
            f"{option}: there is no directory {directory}: mkdir -p {shlex.quote(str(directory))}"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UserError(f"{option}: {directory} cannot be written; choose another, or start it as root")


def _problems(account: Account, needs: list[tuple[Path, int]], environment: Path | None) -> list[str]:
    found: dict[str, None] = {}
    for path, need in needs:
        door = _closed_door(path)
        if door is not None and (environment is None or not door.is_relative_to(environment)):
            quoted = shlex.quote(str(door))
            problem: str | None = (
                f"{door} cannot be entered by {account.name}: chmod o+x {quoted}"
                f"   (or: setfacl -m u:{account.name}:x {quoted})"
            )
        else:
            problem = _problem(account, door or path, need, environment)
        if problem is not None:
            found[problem] = None
    return list(found)


def _closed_door(path: Path) -> Path | None:
    """The first directory on the way that cannot be entered, also on the way behind symbolic links."""
    for whole in (path, Path(os.path.realpath(path))):
        for directory in reversed(whole.parents):
            if os.path.isdir(directory) and not os.access(directory, os.X_OK):
                return directory
    return None


def _problem(account: Account, path: Path, need: int, environment: Path | None) -> str | None:
    if not os.path.lexists(path):
        return None
    mode = need | (os.X_OK if path.is_dir() else 0)
    if os.access(path, mode):
        return None
    verb = "written" if need == WRITE else "read"
    if need == WRITE and os.statvfs(path).f_flag & os.ST_RDONLY:
        return (
            f"{path} is on a file system that is mounted read-only: "
            f"mount -o remount,rw {shlex.quote(_mount_point(path))}"
        )
    quoted = shlex.quote(str(path))
    letters = "rX" if path.is_dir() else "r"
    if os.stat(path).st_uid == account.uid:
        mend = f"chmod -R u+{letters}{'w' if need == WRITE else ''} {quoted}"
    elif environment is not None:
        # It is all Trac's own, and trac.ini may hold passwords: no reason to open it to everybody.
        mend = f"chown -R {account.name}: {shlex.quote(str(environment))}"
    elif need == WRITE:
        mend = f"chown -R {account.name}: {quoted}"
    else:
        mend = f"chmod -R o+{letters} {quoted}   (or: setfacl -R -m u:{account.name}:{letters} {quoted})"
    return f"{path} cannot be {verb} by {account.name}: {mend}"


def _mount_point(path: Path) -> str:
    whole = Path(os.path.realpath(path))
    return str(next(place for place in (whole, *whole.parents) if os.path.ismount(place)))
