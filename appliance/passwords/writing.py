"""Changing a password file: all of it or nothing.

The new content is written beside the file, flushed to the disk, and renamed over it: whoever reads sees the
old file or the new one, and a full disk costs nothing. Owner, mode, extended attributes (ACLs), comments
and order stay. The lock is on the directory, because the file itself is replaced; two `fcgibox passwd` wait
for each other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import UserError
from appliance.passwords.formats import FormatError, has_control, hash_password, matches
from appliance.passwords.store import PasswordFile, mend, read

NEW_MODE = 0o640  # a file we create: its owner writes it, its group (another server's, say) reads it
_NAME_OCTETS = 255
_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the limit of this process (ulimit -f)",
}


def set_password(path: Path, user: str, password: str) -> None:
    """Give `user` this password, as bcrypt; the file is created (mode 0640) if there is none.

    Further lines of the same user go, so that an old password cannot come back. Raises UserError.
    """
    check_name(user)
    hashed = hash_password(password)
    with _locked(path) as target:
        old = _content(target)
        lines, found = _without(old or b"", user)
        line = f"{user}:{hashed}".encode()
        if found is None:
            if lines and not lines[-1].endswith(b"\n"):
                lines[-1] += b"\n"
            lines.append(line + _ending(lines[-1] if lines else b""))
        else:
            position, ending = found
            lines.insert(position, line + ending)
        _replace(target, b"".join(lines))


def delete_user(path: Path, user: str) -> None:
    """Take every line of `user` out. Raises UserError if there is none."""
    check_name(user)
    with _locked(path) as target:
        old = _existing(path, target)
        lines, found = _without(old, user)
        if found is None:
            raise UserError(f"there is no user {user!r} in {path}; nothing was changed")
        _replace(target, b"".join(lines))


def verify_password(path: Path, user: str, password: str) -> bool:
    """Whether the front would let this user in. Raises UserError if the file or the entry cannot be used."""
    check_name(user)
    target = Path(os.path.realpath(path))
    content = _existing(path, target)
    file = parse_file(path, content)
    entry = file.entries.get(user)
    if entry is None:
        if user in file.refused:
            why, command = file.refused[user], mend(str(path), user)
            raise UserError(f"{user!r} cannot log in by {path}: {why}; set it anew: {command}")
        raise UserError(f"there is no user {user!r} in {path}")
    try:
        return matches(entry, password.encode("utf-8", "surrogateescape"))
    except FormatError as error:
        raise UserError(f"the password of {user!r} in {path} cannot be checked: {error}") from None


def parse_file(path: Path, content: bytes) -> PasswordFile:
    """A file's octets, understood as the front understands them."""
    text = content.decode("utf-8", "surrogateescape")
    return read(str(path), text, hashlib.sha256(content).digest())


def check_name(user: str) -> None:
    """Refuse a user's name that a line of the file, or a login, could not carry. Raises UserError."""
    try:
        octets = user.encode()
    except UnicodeEncodeError:
        raise UserError("the user's name is not UTF-8 text") from None
    if not user:
        raise UserError("the user's name is empty")
    if ":" in user:
        raise UserError(f"the user's name {user!r} contains a colon, which ends the name in a password file")
    if has_control(user):
        raise UserError(f"the user's name {user!r} contains a line break or another control character")
    if user.startswith("#"):
        raise UserError(f"the user's name {user!r} begins with '#', which makes the line a comment")
    if user != user.strip():
        raise UserError(f"the user's name {user!r} begins or ends with a blank")
    if len(octets) > _NAME_OCTETS:
        raise UserError(f"the user's name has {len(octets)} octets; the limit is {_NAME_OCTETS}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Hold the lock of the file's directory; gives the file itself, with links followed (they stay links)."""
    target = Path(os.path.realpath(path))
    directory = target.parent
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UserError(
            f"the directory {directory} does not exist; create it: mkdir -p {directory}"
        ) from None
    except OSError as error:
        raise UserError(f"cannot open the directory {directory}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield target
    finally:
        os.close(lock)


def _content(target: Path) -> bytes | None:
    try:
        status = os.stat(target)
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{target} is not a regular file; a password file must be one")
        return target.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {target}: {error.strerror}; run this as its owner or as root") from None


def _existing(path: Path, target: Path) -> bytes:
    content = _content(target)
    if content is None:
        raise UserError(f"the password file {path} does not exist; create it: {mend(str(path))}")
    return content


def _without(content: bytes, user: str) -> tuple[list[bytes], tuple[int, bytes] | None]:
    """The lines that are not this user's, and where the first of the user's stood with its line ending."""
    prefix = user.encode() + b":"
    kept: list[bytes] = []
    found: tuple[int, bytes] | None = None
    for line in re.findall(rb"[^\n]*\n|[^\n]+", content):
        if line.removeprefix(b"\xef\xbb\xbf").startswith(prefix):
            found = found or (len(kept), _ending(line))
        else:
            kept.append(line)
    return kept, found


def _ending(line: bytes) -> bytes:
    return b"\r\n" if line.endswith(b"\r\n") else b"\n"


def _replace(target: Path, content: bytes) -> None:
    directory = target.parent
    try:
        fd, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".new", dir=directory)
    except OSError as error:
        raise _refusal(target, error) from None
    try:
        try:
            _fill(fd, target, content)
        finally:
            os.close(fd)
        os.rename(name, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            raise _refusal(target, error) from None
        raise
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(fd: int, target: Path, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    try:
        old = os.stat(target)
    except FileNotFoundError:
        os.fchmod(fd, NEW_MODE)
    else:
        new = os.fstat(fd)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            try:
                os.fchown(fd, old.st_uid, old.st_gid)
            except PermissionError:
                raise UserError(
                    f"{target} belongs to user {old.st_uid} and group {old.st_gid}, a file of ours would not;"
                    " run this as its owner or as root; nothing was changed"
                ) from None
        os.fchmod(fd, stat.S_IMODE(old.st_mode))
        _copy_attributes(fd, target)
    os.fsync(fd)


def _copy_attributes(fd: int, target: Path) -> None:
    # ACLs and labels; a file system without them, or a label we may not set, is no reason to refuse.
    with contextlib.suppress(OSError):
        for name in os.listxattr(target):
            os.setxattr(fd, name, os.getxattr(target, name))


def _refusal(target: Path, error: OSError) -> UserError:
    if error.errno in _NO_ROOM:
        return UserError(f"cannot write {target}: {_NO_ROOM[error.errno]}; nothing was changed")
    hint = "; run this as the owner of the directory or as root" if isinstance(error, PermissionError) else ""
    return UserError(f"cannot write in {target.parent}: {error.strerror}{hint}; nothing was changed")
