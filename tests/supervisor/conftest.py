"""`Supervised`: a supervisor with the stand-in as its front, as a thing with verbs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import UserError
from appliance.supervisor.control import ask
from tests.box import clean_environment
from tests.waiting import until


class Supervised:
    """One supervisor. `text` is added to a configuration that listens on `port`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run_directory = directory / "run"
        self.control = self.run_directory / "control.sock"
        self.configuration = directory / "site.conf"
        self.port = free_port()
        self.environment = clean_environment()
        self.limit = 20.0
        self.inherited: tuple[int, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_path = directory / "output"

    def configure(self, text: str, port: int | None = None) -> None:
        head = f'server.bind = "127.0.0.1"\nserver.port = {port or self.port}\n'
        (self.directory / "root").mkdir(exist_ok=True)
        head += f'server.document-root = "{self.directory}/root"\nserver.modules = ("mod_fastcgi")\n'
        self.configuration.write_text(head + text)

    def start(self, text: str = "", *, wait: bool = True) -> None:
        self.configure(text)
        with self._log_path.open("ab") as log:
            words = map(str, (self.configuration, self.run_directory, self.limit))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.supervisor.standin", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                pass_fds=self.inherited,
            )
        if wait:
            until(self.ready, 10, "no front", self.log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            return bool((self.status()["front"] or {}).get("answers"))
        except UserError:
            return False

    def log(self) -> str:
        return self._log_path.read_text()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = 10.0) -> int:
        assert self._process is not None
        return self._process.wait(timeout)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = ask(self.control, {"command": "status"})["status"]
        return status

    def pool(self, name: str = "app") -> dict[str, Any]:
        return next(pool for pool in self.status()["pools"] if pool["name"] == name and pool["current"])

    def pids(self, name: str = "app") -> list[int]:
        return [process["pid"] for process in self.pool(name)["processes"] if process["pid"]]

    def front(self, **request: Any) -> dict[str, Any]:
        """Ask the front something."""
        return finish(self.begin(**request))

    def begin(self, **request: Any) -> socket.socket:
        """A request whose answer is awaited later, with `finish`."""
        sock = socket.create_connection(("127.0.0.1", self.port), 10)
        sock.sendall(json.dumps(request).encode() + b"\n")
        return sock

    def messages(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.front(ask="messages")["messages"] if m["type"] == kind]

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait(3)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.wait()


def finish(sock: socket.socket) -> dict[str, Any]:
    """The answer to a request."""
    with sock, sock.makefile("rb") as file:
        line = file.readline()
    assert line, "the connection was cut"
    answer: dict[str, Any] = json.loads(line)
    return answer


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def supervised(place: Path) -> Iterator[Supervised]:
    """Not started yet."""
    server = Supervised(place)
    yield server
    server.end()
