"""Making a missing or empty directory into a Trac environment, completely or not at all.

Trac makes it in `DIR/.fcgibox-new`, in a process of its own that runs as the user who will own it: Trac
is never imported here. When everything is there, administrator and password too, that directory becomes
`.fcgibox-ready` and its content moves one level up, the file VERSION last, which is what makes a
directory an environment. Whatever interrupts us leaves either nothing, or something that the next start
recognises and finishes or removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UserError
from recipes.trac.accounts import Account, run_as
from recipes.trac.environments import READY, STAGING, Kind, examine, is_environment
from recipes.trac.passwords import ADMIN, has_user, new_password, write_password, write_secret

MAKE = "make-environment"
"""The recipe's internal subcommand that runs Trac's API (`maker`)."""

_SHOWN = 5  # last lines of what Trac said when it failed
_MODE = 0o750  # the database holds sessions, trac.ini may hold the mail server's password


@dataclass(frozen=True, slots=True)
class Order:
    """What to make."""

    directory: Path
    project: str
    """What it is called: in its pages' titles, in the index of projects."""
    password_file: Path
    demo: bool
    terminal: bool
    """Whether a person sees what we print; a journal never gets a password."""


@dataclass(frozen=True, slots=True)
class Created:
    """What was made."""

    directory: Path
    password_file: Path
    password: str | None
    """For the terminal; None if it is in `secret`, or if the file had an administrator already."""
    secret: Path | None


def secret_file(directory: Path) -> Path:
    """Where the first password waits when there is no terminal."""
    return directory.with_name(directory.name + ".admin-password")


def create(order: Order, program: tuple[str, ...], account: Account) -> Created:
    """Make the environment. Raises UserError; the directory is then as it was."""
    directory = order.directory
    with _place(directory, account) as stage:
        ready = directory / READY
        if stage.name != READY:
            _run_maker(order, stage, program, account)
            run_as(account, lambda: os.rename(stage, ready))
        created = _first_password(order, account)
        run_as(account, lambda: _move_up(ready, directory))
    return created


@contextlib.contextmanager
def _place(directory: Path, account: Account) -> Iterator[Path]:
    """The directory in which it is made, ours alone meanwhile; everything is removed again after an error."""
    made = examine(directory) is Kind.MISSING
    try:
        os.makedirs(directory.parent, exist_ok=True)
        try:
            os.mkdir(directory, _MODE)
            new = True
        except FileExistsError:
            new = False
        if account.foreign:
            _give(directory, account, new)
    except OSError as error:
        raise UserError(f"cannot create {directory}: {error.strerror}") from None
    stage = directory / (READY if is_environment(directory / READY) else STAGING)
    run_as(account, lambda: _make_stage(stage))
    held = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another fcgibox is just creating {directory}; wait for it") from None
        try:
            if stage.name == STAGING:
                run_as(account, lambda: _empty(stage))
            yield stage
        except BaseException:
            run_as(account, lambda: _remove(directory))
            if made:
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
            raise
    finally:
        os.close(held)


def _give(directory: Path, account: Account, new: bool) -> None:
    """Make the account the owner, and never of a directory to which somebody else's link leads."""
    trusted = _trusted(directory)
    path = os.path.realpath(directory) if trusted else directory
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise UserError(
            f"cannot use {directory}: it is a symbolic link that others than root can change;"
            f" name the directory itself"
        ) from None
    try:
        if os.fstat(fd).st_uid == account.uid:
            return
        if not new and not trusted:
            raise UserError(
                f"cannot give {directory} to {account.name}: others than root can change the way to it;"
                f" do it yourself with: chown {account.name} {directory}"
            )
        os.fchown(fd, account.uid, account.gid)
    finally:
        os.close(fd)


def _trusted(directory: Path) -> bool:
    """Whether only root can change where the path leads."""
    real = Path(os.path.realpath(directory))
    steps = {*Path(os.path.abspath(directory)).parents, *real.parents}
    if directory.is_symlink():
        steps.add(directory)
    for found in map(os.lstat, steps):
        shared = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        if found.st_uid != 0 or (shared and not stat.S_ISLNK(found.st_mode)):
            return False
    return True


def _make_stage(stage: Path) -> None:
    try:
        os.makedirs(stage, 0o700, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create {stage}: {error.strerror}") from None


def _empty(directory: Path) -> None:
    """An earlier creation was killed: what it left is removed."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _remove(directory: Path) -> None:
    for name in (STAGING, READY):
        shutil.rmtree(directory / name, ignore_errors=True)


def _run_maker(order: Order, staging: Path, program: tuple[str, ...], account: Account) -> None:
    request = {
        "directory": str(staging),
        "project": order.project,
        "admin": ADMIN,
        "demo": order.demo,
    }
    environment = {**os.environ, "HOME": account.home, "USER": account.name, "LOGNAME": account.name}
    try:
        done = subprocess.run(
            [*program, "recipe", "trac", MAKE],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            user=account.uid if account.foreign else None,
            group=account.gid if account.foreign else None,
            extra_groups=account.groups if account.foreign else None,
        )
    except OSError as error:
        raise UserError(f"cannot run {program[0]} as {account.name}: {error.strerror}") from None
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-_SHOWN:]
        raise UserError(
            f"Trac could not create an environment in {order.directory}; nothing is left of it. It said:\n  "
            + "\n  ".join(said or [f"nothing (exit status {done.returncode})"])
        )


def _first_password(order: Order, account: Account) -> Created:
    file = order.password_file
    if has_user(file, ADMIN):
        return Created(order.directory, file, None, None)
    password = new_password()
    secret = None if order.terminal else secret_file(order.directory)
    # The secret first: a hash whose password nobody was told would be worse than a password without effect.
    if secret is not None:
        write_secret(account, secret, password + "\n")
    write_password(account, file, ADMIN, password)
    return Created(order.directory, file, password if order.terminal else None, secret)


def _move_up(ready: Path, directory: Path) -> None:
    """Idempotent: an interrupted one is continued by the next start."""
    names = sorted(os.listdir(ready), key=lambda name: (name == "VERSION", name))
    for name in names:
        os.rename(ready / name, directory / name)
    os.rmdir(ready)
