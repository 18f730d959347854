"""Where the configuration comes from: a file, or a recipe that makes it. The supervisor knows only this
interface."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.config import Configuration, load_file


@dataclass(frozen=True, slots=True)
class Running:
    """What a start block tells, known once the first front accepts connections."""

    listeners: tuple[str, ...]
    """Names as the configuration's: "127.0.0.1:8000", "[::]:80", "unix:/path"."""
    front_user: str
    supervisor_pid: int
    front_pid: int
    run_directory: Path
    control_socket: Path
    connection_limit: int
    graceful_limit: float
    """Seconds that running requests get at a stop."""
    error_log: str | None
    """Path, or None for stderr."""


class Source(Protocol):
    """Gives the configuration at the start and at every reload."""

    @property
    def instance(self) -> str:
        """Short name, safe in a path: the run directory and `fcgibox status NAME` use it."""

    def load(self) -> Configuration:
        """The configuration as of now. Raises ConfigurationError or UserError."""

    def watched(self) -> tuple[str, ...]:
        """Paths whose modification time makes the supervisor load again (looked at every 2 s)."""

    def banner(self, running: Running) -> str:
        """The start block, printed once."""


class FileSource:
    """A lighttpd.conf."""

    def __init__(self, path: Path, name: str | None = None, *, allow_shell: bool = False) -> None:
        """`name` overrides the instance name that is made from the file's."""
        self._path = path.absolute()
        self._allow_shell = allow_shell
        self.instance = name or instance_name(self._path)

    def load(self) -> Configuration:
        """Read the file again."""
        return load_file(self._path, allow_shell=self._allow_shell)

    def watched(self) -> tuple[str, ...]:
        """Nothing: whoever edits a configuration says when it is finished (HUP, `fcgibox reload`)."""
        return ()

    def banner(self, running: Running) -> str:
        """Addresses, user, limits and files, one per line."""
        lines = [f"fcgibox serves {self._path}"]
        lines += [f"  listens on     {name}" for name in running.listeners]
        lines += [
            f"  front          process {running.front_pid}, user {running.front_user}",
            f"  limits         {running.connection_limit} connections; a stop waits up to"
            f" {running.graceful_limit:g} s for running requests",
            f"  error log      {running.error_log or 'here'}",
            f"  control        fcgibox status|reload|stop {self.instance}   ({running.control_socket})",
        ]
        return "\n".join(lines)


class Changes:
    """The watched paths of a source. A change counts when it has come to rest for one interval."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = self._stamps()
        self._restless = False

    def poll(self) -> bool:
        """Something has changed and rests now."""
        stamps = self._stamps()
        changed, self._seen = stamps != self._seen, stamps
        ready, self._restless = self._restless and not changed, changed
        return ready

    def _stamps(self) -> dict[str, int]:
        stamps = {}
        for path in self._source.watched():
            with contextlib.suppress(OSError):
                stamps[path] = os.stat(path).st_mtime_ns
        return stamps


def instance_name(path: Path) -> str:
    """A readable name for what runs `path`, distinct for files of the same name in different directories."""
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", path.stem).strip("-.")[:24] or "site"
    return f"{stem}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:4]}"
