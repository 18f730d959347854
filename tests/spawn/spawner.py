"""`Spawner`: spawn-fcgi or `fcgibox spawn`, in a directory of its own, and the program they start.

The program is a small one that writes what it found itself to be (`facts`) and stays.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import processes
from tests.box import program
from tests.waiting import until

OURS = [*program(), "spawn"]
ORIGINAL = [shutil.which("spawn-fcgi") or "/usr/bin/spawn-fcgi"]
SPAWNED = "spawn-fcgi: child spawned successfully: PID: "

# Signals are looked at by the shell, without a fork: Python ignores some by the time it could look, and dash
# blocks them while it forks.
_PROGRAM = """#!/bin/sh
while read -r name value; do
  case $name in SigBlk: | SigIgn:) echo "$name $value" ;; esac
done </proc/$$/status >"{facts}/$$.signals"
exec /usr/bin/python3 -I "{facts}.py" "{facts}" "$@"
"""

_FACTS = """
import fcntl, json, os, signal, socket, sys

place = sys.argv[1]
own = f"{place}/{os.getpid()}"
own_copy = os.dup(0)
listener = socket.socket(fileno=own_copy)
inherited = [int(name) for name in os.listdir("/proc/self/fd")]
with open("/proc/self/environ") as file:
    environment = dict(pair.split("=", 1) for pair in file.read().split(chr(0)) if pair)
mask = os.umask(0)
os.umask(mask)
facts = {
    "arguments": sys.argv[2:],
    "environment": environment,
    "directory": os.getcwd(),
    "user": os.getresuid(),
    "group": os.getresgid(),
    "groups": sorted({*os.getgroups(), os.getgid()}),
    "session": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "output": [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)],
    "umask": mask,
    "signals": open(f"{own}.signals").read(),
    "family": listener.family.name,
    "address": listener.getsockname(),
    "listens": listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
    "blocking": not fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK,
    "both families": listener.family == socket.AF_INET6
    and not listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
    "inherited": [
        fd for fd in inherited
        if fd not in (0, 1, 2, own_copy) and os.path.exists(f"/proc/self/fd/{fd}")
    ],
}
with open(f"{own}.new", "w") as file:
    json.dump(facts, file)
os.rename(f"{own}.new", f"{own}.json")
while True:
    signal.pause()
"""


@dataclass(frozen=True)
class Done:
    """What the spawner said, and its exit status."""

    status: int
    output: str
    errors: str

    @property
    def pids(self) -> list[int]:
        """The processes it says it has started."""
        lines = self.output.splitlines()
        assert all(line.startswith(SPAWNED) for line in lines), self
        return [int(line.removeprefix(SPAWNED)) for line in lines]


class Spawner:
    """One of the two; `run` waits for it, `facts` for what it started."""

    def __init__(self, command: list[str], directory: Path) -> None:
        directory.mkdir(parents=True)
        self.command = command
        self.directory = directory
        self.program = directory / "facts"
        self._facts = directory / "of"
        self._facts.mkdir()
        # The program may be another user.
        self._facts.chmod(0o777)
        Path(f"{self._facts}.py").write_text(_FACTS)
        self.program.write_text(_PROGRAM.format(facts=self._facts))
        self.program.chmod(0o755)
        self._mark = uuid.uuid4().hex
        self._started: subprocess.Popen[bytes] | None = None

    def run(self, *words: str | Path, **options: Any) -> Done:
        """Run it to its end; the options are those of `start`."""
        status = self.start(*words, **options).wait(20.0)
        output, errors = ((self.directory / name).read_text() for name in ("output", "errors"))
        return Done(status, output, errors)

    def start(
        self,
        *words: str | Path,
        umask: int = 0o022,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
        command: list[str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start it in our directory; its output goes to files, which a daemon may hold open."""
        with open(self.directory / "output", "wb") as output, open(self.directory / "errors", "wb") as errors:
            self._started = subprocess.Popen(
                [*(self.command if command is None else command), *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=self.directory,
                umask=umask,
                env={"PATH": os.environ["PATH"], **(environment or {}), "FCGIBOX_TEST_MARK": self._mark},
                preexec_fn=prepare,
                pass_fds=pass_fds,
            )
        return self._started

    def facts(self, pid: int) -> dict[str, Any]:
        """What the program with this number found; directory and mark of this spawner taken out."""
        path = self._facts / f"{pid}.json"
        until(path.exists, problem=f"process {pid} does not report")
        text = path.read_text().replace(str(self.directory), "HERE").replace(self._mark, "MARK")
        found: dict[str, Any] = json.loads(text)
        return found

    def running(self) -> set[int]:
        """All living processes that came from it."""
        return processes.marked(f"FCGIBOX_TEST_MARK={self._mark}")

    def end(self) -> None:
        """End whatever it has started."""
        for pid in self.running():
            os.kill(pid, signal.SIGKILL)
        if self._started is not None:
            self._started.wait(10.0)
        until(lambda: not self.running(), problem="spawned processes survive SIGKILL")
