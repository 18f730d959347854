"""Which user Trac runs as, and doing things as that user.

Started as root, front and Trac run as somebody else: `--user`, or the environment's owner, or www-data;
never root, whom a hole in a plugin would make the machine's owner, and never nobody, who is shared by
others who must not meet.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from appliance.errors import UserError

DEFAULT = "www-data"


@dataclass(frozen=True, slots=True)
class Account:
    """A user with the primary group."""

    name: str
    uid: int
    gid: int
    group: str
    home: str

    @property
    def groups(self) -> list[int]:
        """All groups, the primary one too."""
        return os.getgrouplist(self.name, self.gid)

    @property
    def foreign(self) -> bool:
        """Whether this is not who we are, so that we are root and must change to it."""
        return os.geteuid() != self.uid


def choose(wanted: str | None, directories: Iterable[Path]) -> Account:
    """The user for these environments (existing directories; a missing one has no say). Raises UserError."""
    if os.geteuid() != 0:
        return _own(wanted)
    owners = {directory: owner for directory in directories if (owner := _owner(directory)) is not None}
    if wanted is not None:
        return _named(wanted)
    uids = set(owners.values())
    if len(uids) > 1:
        listing = "; ".join(f"{directory}: {_name(uid)}" for directory, uid in owners.items())
        raise UserError(
            f"the environments belong to different users ({listing}). One server runs as one user: "
            "give them to one (chown -R USER: DIR), or say --user NAME, or start one server for each"
        )
    if not uids:
        return _default()
    return _of_owner(*owners.popitem())


def run_as(account: Account, work: Callable[[], Any]) -> Any:
    """What `work` returns (anything JSON can say), done as that user. UserError passes through."""
    if not account.foreign:
        return work()
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work_and_exit(account, work, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as answer:
        text = answer.read()
    _, status = os.waitpid(pid, 0)
    if status != 0 or not text:
        raise UserError(f"a helper process for user {account.name} failed (status {status})")
    kind, value = json.loads(text)
    if kind == "error":
        raise UserError(value)
    return value


def _work_and_exit(account: Account, work: Callable[[], Any], writing: int) -> NoReturn:
    status = 1
    try:
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)
        try:
            answer = ("value", work())
        except UserError as error:
            answer = ("error", str(error))
        with open(writing, "w", encoding="utf-8") as out:
            json.dump(answer, out)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)  # neither the parent's cleanup nor its buffers are ours


def _own(wanted: str | None) -> Account:
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        # A container may run us under a number that has no name; that is nobody's business but its own.
        entry = pwd.struct_passwd((str(uid), "x", uid, os.getegid(), "", os.environ.get("HOME", "/"), ""))
    if wanted is not None and wanted != entry.pw_name:
        raise UserError(
            f"--user {wanted}: only root can run Trac as another user, and this is {entry.pw_name}; "
            f"start it as {wanted}, or with sudo"
        )
    return _account(entry)


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise UserError(
            f"--user {name}: there is no such user on this machine; "
            f"`adduser --system --group {shlex.quote(name)}` makes one"
        ) from None
    if entry.pw_uid == 0:
        raise UserError(f"--user {name}: Trac never runs as root; leave --user out, or say --user {DEFAULT}")
    if _is_nobody(entry):
        raise UserError(
            f"--user {name}: nobody is shared by programs that must not meet; leave --user out, "
            f"or say --user {DEFAULT}"
        )
    return _account(entry)


def _default() -> Account:
    try:
        return _account(pwd.getpwnam(DEFAULT))
    except KeyError:
        raise UserError(
            f"there is no user {DEFAULT} on this machine: say --user NAME "
            "(`adduser --system --group trac` makes one)"
        ) from None


def _of_owner(directory: Path, uid: int) -> Account:
    give = f"chown -R {DEFAULT}: {shlex.quote(str(directory))}"
    if uid == 0:
        raise UserError(
            f"{directory} belongs to root, and Trac never runs as root; give it to a user: {give}"
        )
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise UserError(
            f"{directory} belongs to the number {uid}, which is no user of this machine; "
            f"give it to one: {give}"
        ) from None
    if _is_nobody(entry):
        raise UserError(
            f"{directory} belongs to {entry.pw_name}, which is shared by programs that must not meet; "
            f"give it to another user: {give}"
        )
    return _account(entry)


def _owner(directory: Path) -> int | None:
    """Who owns an existing directory; an empty one of root's is only a place for a new environment."""
    try:
        uid = directory.stat().st_uid
        return None if uid == 0 and not any(directory.iterdir()) else uid
    except OSError:
        return None  # what is wrong with it is said where it is examined


def _is_nobody(entry: pwd.struct_passwd) -> bool:
    return entry.pw_name == "nobody" or entry.pw_uid == 65534


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _account(entry: pwd.struct_passwd) -> Account:
    try:
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        group = str(entry.pw_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, group, entry.pw_dir)
