"""As whom a process runs, and below which root: users, groups, chroot, and giving privileges up for good.

Only root can change identity; started as anybody else, everything runs as that user, and a configuration that
asks for another one is told so instead of being ignored.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass

from appliance import program
from appliance.errors import UserError


@dataclass(frozen=True, slots=True)
class Identity:
    """User, group, supplementary groups and root directory of a process."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    root: str | None = None
    """Its chroot, None: the root of the machine."""

    def enter_root(self) -> None:
        """Go below our root, where "/" is from now on. In the child only, and before `assume`."""
        if self.root is not None:
            os.chroot(self.root)
            os.chdir("/")

    def assume(self) -> None:
        """Become this user, irrevocably. In the child only; a no-op if we are that user already and not
        root."""
        if os.geteuid() != 0:
            return
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        if self.uid != 0:
            try:
                os.setuid(0)
            except PermissionError:
                return
            raise RuntimeError(f"user {self.name} could become root again")


def current() -> Identity:
    """As whom we run now."""
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
        name, home = entry.pw_name, entry.pw_dir
    except KeyError:
        name, home = str(uid), "/"
    return Identity(uid, os.getegid(), tuple(os.getgroups()), name, home)


def resolve(username: str | None, groupname: str | None, what: str) -> Identity:
    """The identity for `server.username`/`server.groupname` or a pool's `user`/`group`.

    Unset means: stay as we are. `what` names the option in the error (UserError: no such user or group, or we
    are not root and another user was asked for).
    """
    own = current()
    if username is None and groupname is None:
        return own
    user = _user(username, what) if username is not None else None
    uid = user.pw_uid if user else own.uid
    gid = _group(groupname, what) if groupname is not None else user.pw_gid if user else own.gid
    if own.uid != 0:
        if uid != own.uid or (groupname is not None and gid not in {own.gid, *own.groups}):
            raise UserError(
                f"{what} asks for {username or ''}{':' + groupname if groupname else ''}, and only root can "
                f"change the user: start as root ({program.as_root()}), "
                f"or remove the option to run as {own.name}"
            )
        return own
    groups = tuple(os.getgrouplist(user.pw_name, gid)) if user else (gid,)
    return Identity(uid, gid, groups, user.pw_name if user else own.name, user.pw_dir if user else own.home)


def root_directory(path: str | None, what: str) -> str | None:
    """A chroot, checked; None is none. `what` names the option in the error (UserError)."""
    if path is None or path.strip("/") == "":
        return None
    if os.geteuid() != 0:
        raise UserError(
            f"{what} is {path}, and only root can enter a chroot: start as root ({program.as_root()}), or "
            "remove the option"
        )
    if not os.path.isdir(path):
        raise UserError(f"{what}: there is no directory {path}; `mkdir -p {path}` creates it")
    return os.path.normpath(path)


def _user(name: str, what: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise UserError(
            f"{what}: there is no user {name!r}; `useradd --system {name}` creates one, "
            "or name another (Debian's is www-data)"
        ) from None


def _group(name: str, what: str) -> int:
    try:
        return grp.getgrgid(int(name)).gr_gid if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise UserError(
            f"{what}: there is no group {name!r}; `groupadd --system {name}` creates one"
        ) from None


def closed_to(path: str, user: Identity) -> str | None:
    """The first directory on the way to `path` that `user` may not pass, or `path` if it may not be read."""
    if user.uid == 0 or user.uid == os.geteuid():
        return None
    parts = os.path.realpath(path).split("/")
    for count in range(2, len(parts) + 1):
        step = "/".join(parts[:count])
        try:
            status = os.stat(step)
        except OSError:
            return step
        needed = 0o1 if stat.S_ISDIR(status.st_mode) else 0o4
        if not permissions(status, user) & needed:
            return step
    return None


def permissions(status: os.stat_result, user: Identity) -> int:
    """The three permission bits that `user` has by mode (what access lists add is not seen)."""
    if status.st_uid == user.uid:
        return status.st_mode >> 6 & 0o7
    if status.st_gid in {user.gid, *user.groups}:
        return status.st_mode >> 3 & 0o7
    return status.st_mode & 0o7
