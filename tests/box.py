"""`Box`: fcgibox under test, as a thing with verbs.

    box.serve('server.document-root = "/srv/www"')        a configuration, on a free port of 127.0.0.1
    box.recipe("trac", "--env", directory)                 a recipe
    box.fetch("/wiki", user=("joe", "joepw"))              one request;   box.wire() shows the bytes
    box.kill_front(); box.wait_log("front"); box.stop()

The program is the one of this virtual environment; FCGIBOX_PROGRAM names another one (`dist/fcgibox`, or
`python3 -m appliance`), so that the same tests run on the frozen executable.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests import processes
from tests.server import START_LIMIT, Server
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent


def program() -> list[str]:
    """The words that start fcgibox."""
    if chosen := os.environ.get("FCGIBOX_PROGRAM"):
        words = shlex.split(chosen)
        return [os.path.abspath(words[0]) if "/" in words[0] else words[0], *words[1:]]
    installed = Path(sys.executable).with_name("fcgibox")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "appliance"]


def clean_environment() -> dict[str, str]:
    """The environment that our program gets: the caller's, without what would steer it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FCGIBOX_", "TRAC_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


class Box(Server):
    """One fcgibox."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.program = program()
        self.environment = {**clean_environment(), "XDG_RUNTIME_DIR": str(directory)}
        self._words: list[str] = []

    def serve(self, text: str, *options: str, wait: bool = True) -> Self:
        """Serve a configuration; see `configure` for what is added to it."""
        return self.start("serve", *options, str(self.configure(text)), wait=wait)

    def configure(self, text: str) -> Path:
        """Write the configuration, for `serve` or before a `reload`; without a port it gets bind and port."""
        if "server.port" not in text:
            text = f'server.bind = "127.0.0.1"\nserver.port = {self.port}\n{text}'
        path = self.directory / "box.conf"
        path.write_text(text, "utf-8")
        return path

    def recipe(self, name: str, *options: str | Path, wait: bool = True) -> Self:
        """Run a recipe, on our port unless the options say --listen."""
        words = [str(option) for option in options]
        if not any(word.startswith("--listen") for word in words):
            words += ["--listen", f"127.0.0.1:{self.port}"]
        return self.start("recipe", name, *words, wait=wait)

    def start(self, *words: str, wait: bool = True) -> Self:
        """Start the program with these words (none: those of the last start); wait until a front is ready."""
        self._words = list(words) or self._words
        self._launch([*self.program, *self._words], self.environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout: float = START_LIMIT) -> None:
        """Wait until it listens and has a front that accepts."""
        self._wait_listening(timeout)
        until(self.ready, timeout, "no front", self.log)

    def run(
        self, *words: str | Path, stdin: str | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run another command of the program to its end (`status`, `passwd`, `check` …)."""
        return subprocess.run(
            [*self.program, *map(str, words)],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self.environment,
            timeout=timeout,
        )

    def control(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """status, reload or stop: of this server, whatever else runs on the machine."""
        return self.run(command, "--control", self.control_socket(), *words)

    def reload(self) -> None:
        """`fcgibox reload`, which must succeed."""
        done = self.control("reload")
        assert done.returncode == 0, done.stderr + self.log()

    def status(self) -> dict[str, Any]:
        """What `fcgibox status --json` shows, asked on the control socket itself."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(10.0)
            sock.connect(str(self.control_socket()))
            sock.sendall(b'{"command": "status"}\n')
            with sock.makefile("rb") as answer:
                data = json.loads(answer.readline())
        assert data["ok"], data
        status: dict[str, Any] = data["status"]
        return status

    def supervisor_pid(self) -> int:
        """The supervisor: the process we started, or the child of a frozen program's outer process."""
        found = self._supervisor()
        assert found, f"no supervisor with a control socket; the log:\n{self.log()}"
        return found[0]

    def control_socket(self) -> Path:
        """The socket over which the supervisor is asked."""
        found = self._supervisor()
        assert found, f"no supervisor with a control socket; the log:\n{self.log()}"
        return found[1]

    def _supervisor(self) -> tuple[int, Path] | None:
        for pid in (self.pid, *processes.children(self.pid)):
            for path in processes.unix_listeners(pid):
                if path.endswith("/control.sock"):
                    return pid, Path(path)
        return None

    def ready(self) -> bool:
        """Whether there is a front that has said that it accepts."""
        if not self._supervisor():
            return False
        front = self.status()["front"]
        return front is not None and bool(front["answers"])

    def front_pid(self) -> int:
        """The front that accepts; waits for it while there is none."""
        until(self.ready, START_LIMIT, "no front", self.log)
        return int(self.status()["front"]["pid"])

    def pools(self) -> dict[str, dict[str, Any]]:
        """The pools of the present configuration, by name."""
        return {pool["name"]: pool for pool in self.status()["pools"] if pool["current"]}

    def application_pids(self) -> list[int]:
        """The application processes of all pools, without templates."""
        return [
            int(process["pid"])
            for pool in self.pools().values()
            for process in pool["processes"]
            if process["pid"]
        ]

    def template_pid(self) -> int:
        """The one template; waits for it."""
        until(self._template, START_LIMIT, "no template", self.log)
        found = self._template()
        assert found is not None, self.log()
        return found

    def _template(self) -> int | None:
        found = [pool["template"] for pool in self.pools().values() if pool["template"]]
        return int(found[0]) if found else None

    def kill_front(self) -> int:
        """SIGKILL the front; the process that died. Another one is there when `wait_front(it)` returns."""
        return self._kill(self.front_pid())

    def wait_front(self, other_than: int, timeout: float = 10.0) -> int:
        """Wait for a front that is another process; its number."""

        def new() -> bool:
            front = self.status()["front"]
            return front is not None and front["pid"] != other_than and bool(front["answers"])

        until(new, timeout, "no new front", self.log)
        return int(self.status()["front"]["pid"])

    def kill_template(self) -> int:
        """SIGKILL the template; the process that died."""
        return self._kill(self.template_pid())

    def kill_application(self) -> int:
        """SIGKILL one application process; which."""
        return self._kill(self.application_pids()[0])

    def kill_supervisor(self) -> int:
        """SIGKILL the supervisor, not a frozen program's outer process; which."""
        return self._kill(self.supervisor_pid())

    def _kill(self, pid: int) -> int:
        os.kill(pid, signal.SIGKILL)
        until(lambda: not processes.alive(pid), 5.0, f"process {pid} survives SIGKILL")
        return pid

    def wait_nothing_left(self, timeout: float = 2.0) -> None:
        """Wait until no process that came from this server lives; AssertionError with those that do."""
        mark = "=".join(self._mark)

        def left() -> dict[int, list[str]]:
            return {pid: processes.command_line(pid) for pid in processes.marked(mark)}

        until(lambda: not left(), timeout, "processes are left", lambda: str(left()))
