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
    problems: list[str] = run_as(account, lambda: _problems(account, listed))
    if problems:
        raise UserError(
            "\n  ".join([f"Trac runs as {account.name}, and", *problems])
            if problems[1:]
            else f"Trac runs as {account.name}, and {problems[0]}"
        )


def _problems(account: Account, needs: list[tuple[Path, int]]) -> list[str]:
    found: dict[str, None] = {}
    for path, need in needs:
        problem = _closed_door(account, path) or _problem(account, path, need)
        if problem is not None:
            found[problem] = None
    return list(found)


def _closed_door(account: Account, path: Path) -> str | None:
    """The first directory on the way that cannot be entered, also on the way behind symbolic links."""
    for whole in (path, Path(os.path.realpath(path))):
        for directory in reversed(whole.parents):
            if os.path.isdir(directory) and not os.access(directory, os.X_OK):
                quoted = shlex.quote(str(directory))
                return (
                    f"{directory} cannot be entered by {account.name}: chmod o+x {quoted}"
                    f"   (or: setfacl -m u:{account.name}:x {quoted})"
                )
    return None


def _problem(account: Account, path: Path, need: int) -> str | None:
    if not os.path.lexists(path):
        return None
    mode = need | (os.X_OK if path.is_dir() else 0)
    if os.access(path, mode):
        return None
    quoted = shlex.quote(str(path))
    if need == WRITE:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return f"{path} is on a file system that is mounted read-only: mount -o remount,rw …"
        return f"{path} cannot be written by {account.name}: chown -R {account.name}: {quoted}"
    letters = "rX" if path.is_dir() else "r"
    return (
        f"{path} cannot be read by {account.name}: chmod -R o+{letters} {quoted}"
        f"   (or: setfacl -R -m u:{account.name}:{letters} {quoted})"
    )
