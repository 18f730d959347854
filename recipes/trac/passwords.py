"""Which password file opens which login, and the first password of a new project.

A file that does not exist yet is named all the same: it closes that login, and creating it opens it.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.errors import UserError
from appliance.passwords.store import read
from appliance.passwords.writing import set_password
from appliance.program import spoken
from recipes.trac.accounts import Account, run_as

ADMIN = "admin"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters without those that look alike: 5 bits each


def beside(directory: Path) -> Path:
    """DIR.htpasswd: the password file of an environment that has no other."""
    return directory.with_name(directory.name + ".htpasswd")


def choose(said: Path | None, directory: Path, parent: Path | None) -> Path:
    """The password file of a project, by the order that the help states."""
    if said is not None:
        return said
    candidates = [beside(directory), directory / "conf" / "htpasswd", *of_parent(parent)]
    return next((path for path in candidates if path.is_file()), candidates[0])


def of_parent(parent: Path | None) -> list[Path]:
    """The password files of a parent directory, the one that counts first."""
    return [] if parent is None else [parent / "htpasswd", parent / ".htpasswd"]


def first_existing(candidates: Sequence[Path]) -> Path | None:
    """The first that exists."""
    return next((path for path in candidates if path.is_file()), None)


def has_user(file: Path, user: str) -> bool:
    """Whether the file has an entry for this user. Raises UserError if it cannot be read."""
    try:
        content = file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"cannot read the password file {file}: {error.strerror}") from None
    return user in read(str(file), content, b"").entries


def new_password() -> str:
    """80 random bits in four groups that can be typed."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def write_password(account: Account, file: Path, user: str, password: str) -> None:
    """Enter a user; the file belongs to `account`. Raises UserError."""
    _as_owner(account, file, lambda: set_password(file, user, password))


def write_secret(account: Account, file: Path, content: str) -> None:
    """A new file that only `account` can read; an old one is replaced. Raises UserError."""

    def write() -> None:
        try:
            file.unlink(missing_ok=True)
            # O_EXCL: never into what somebody else put there, never through a link.
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(fd, "w", encoding="utf-8") as out:
                out.write(content)
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from None

    _as_owner(account, file, write)


def _as_owner(account: Account, file: Path, work: Callable[[], None]) -> None:
    """Do it as the owner-to-be where that user may write, so that root follows no link of that user."""
    if run_as(account, lambda: os.access(file.parent, os.W_OK | os.X_OK)):
        run_as(account, work)
        return
    existed = file.exists()
    work()
    if account.foreign and not existed:
        os.chown(file, account.uid, account.gid, follow_symlinks=False)


def reset_command(file: str) -> str:
    """How to set the administrator's password anew."""
    return f"{spoken()} passwd {shlex.quote(file)} {ADMIN}"
