"""The password files as the front knows them.

The front runs as a user who often may not read them: the supervisor opens and watches them and hands on the
content (`update`). What is wrong in a file is reported once for each content; the rest of the file works.
"""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from appliance.passwords.formats import Entry, FormatError, Kind, has_control, parse, plain

_REPORTED = 10  # problems of one file that get a line each; a binary file must not fill the log


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """One file's content, understood."""

    path: str
    digest: bytes  # of the content: what was checked against another content does not count
    entries: dict[str, Entry]
    dummy: Entry | None  # of the commonest kind and cost: an unknown user costs what a wrong password costs
    refused: dict[str, str]  # users whose entry cannot be used, and why
    problems: tuple[str, ...]  # for the log, with line numbers


@dataclass(frozen=True, slots=True)
class Closed:
    """A file that cannot be read, and why."""

    path: str
    reason: str


class PasswordStore:
    """All password files of the configuration, by the path that the configuration names."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` takes a line for the error log."""
        self._report = report
        self._plain: set[str] = set()
        self._files: dict[str, PasswordFile | Closed] = {}
        self._contents: dict[str, str] = {}

    def expect_plain(self, path: str) -> None:
        """The file belongs to auth.backend = "plain": even what looks like a hash is a password in it."""
        if path in self._plain:
            return
        self._plain.add(path)
        content = self._contents.get(path)
        if content is not None:
            del self._files[path]
            self.update(path, content, None)

    def update(self, path: str, content: str | None, error: str | None) -> None:
        """Take a file's content, or the reason why there is none."""
        before = self._files.get(path)
        if content is None:
            closed = Closed(path, error or "it does not exist")
            self._files[path] = closed
            self._contents.pop(path, None)
            if before != closed:
                self._report(f"login is closed: {describe(closed)}")
            return
        digest = hashlib.sha256(content.encode("utf-8", "surrogateescape")).digest()
        if isinstance(before, PasswordFile) and before.digest == digest:
            return
        self._contents[path] = content
        file = read(path, content, digest, plain_only=path in self._plain)
        self._files[path] = file
        for problem in file.problems[:_REPORTED]:
            self._report(problem)
        if len(file.problems) > _REPORTED:
            self._report(f"{path}: {len(file.problems) - _REPORTED} more lines like these")
        if isinstance(before, Closed):
            self._report(f"login is open again: {path} was read, {len(file.entries)} users")

    def get(self, path: str) -> PasswordFile | Closed:
        """The file as last read."""
        return self._files.get(path) or Closed(path, "it has not been read yet")


def read(path: str, content: str, digest: bytes, *, plain_only: bool = False) -> PasswordFile:
    """Parse lines of `user:password`; blank lines and those that begin with "#" do not count.

    The first line of a user counts, as in Apache and lighttpd.
    """
    entries: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    refused: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(content.removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, secret = line.partition(":")
        where = f"{path}:{number}: "
        if not colon or not user:
            problems.append(f"{where}line ignored: it is not of the form user:password")
        elif has_control(user):
            problems.append(f"{where}line ignored: the user's name contains a control character")
        elif user in lines:
            problems.append(
                f"{where}line ignored: {user!r} stands in line {lines[user]} already, which counts"
            )
        else:
            lines[user] = number
            try:
                entries[user] = plain(secret) if plain_only else parse(secret)
            except FormatError as error:
                refused[user] = str(error)
                problems.append(f"{where}{user!r} cannot log in: {error}; set it anew: {mend(path, user)}")
    in_clear = [] if plain_only else [name for name, entry in entries.items() if entry.kind is Kind.PLAIN]
    if in_clear:
        first = in_clear[0]
        others = f" and {len(in_clear) - 1} more" if len(in_clear) > 1 else ""
        problems.append(
            f"{path}:{lines[first]}: the password of {first!r}{others} stands in plain text;"
            f" {mend(path, first)} writes a hash instead"
        )
    return PasswordFile(path, digest, entries, _commonest(entries), refused, tuple(problems))


def describe(closed: Closed) -> str:
    """What happened, and the command that mends it."""
    command = mend(closed.path)
    return f"the password file {closed.path} cannot be used: {closed.reason}; create or mend it: {command}"


def mend(path: str, user: str = "USER") -> str:
    """The command that sets a password."""
    return f"fcgibox passwd {shlex.quote(path)} {shlex.quote(user)}"


def _commonest(entries: dict[str, Entry]) -> Entry | None:
    groups = Counter((entry.kind, entry.cost) for entry in entries.values())
    if not groups:
        return None
    wanted = groups.most_common(1)[0][0]
    return next(entry for entry in entries.values() if (entry.kind, entry.cost) == wanted)
