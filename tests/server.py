"""`Server`: a server process under test: what our program (`Box`) and the oracle (`Lighttpd`) share."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests import processes
from tests.http_client import Address, Answer, Headers, Wire, connect, fetch
from tests.waiting import until

START_LIMIT = 40.0
"""Seconds for a start, with the warm-up of an application on a busy machine."""


def reserve_port(host: str = "127.0.0.1") -> tuple[int, socket.socket]:
    """A free port and the socket that keeps it ours.

    It is bound and not listening: a server with SO_REUSEADDR may bind it as well, the kernel gives it to
    nobody else.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, 0))
    return sock.getsockname()[1], sock


class Server:
    """A process that serves `address`, with its log in `directory`.

    Whatever it started has ended after `end`: its processes are found by their parents and by a marker in
    their environment, never by name.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.directory = directory
        self.port, self._reservation = reserve_port()
        self.address: Address = ("127.0.0.1", self.port)
        self.log_path = directory / f"{type(self).__name__.lower()}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._mark = ("FCGIBOX_TEST_MARK", uuid.uuid4().hex)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self.process is not None, "not started"
        return self.process.pid

    def fetch(self, target: str = "/", **options: Any) -> Answer:
        """One request on a connection of its own; the options are those of `http_client.fetch`."""
        return fetch(self.address, target, **options)

    def get(self, target: str = "/", headers: Headers = ()) -> Answer:
        """GET, with these headers."""
        return self.fetch(target, headers=headers)

    def wire(self, timeout: float = 10.0) -> Wire:
        """A new connection that shows the bytes."""
        return Wire(self.address, timeout)

    def log(self) -> str:
        """Everything it wrote so far, standard output and error."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log_contains(self, text: str) -> bool:
        """Whether it has written this."""
        return text in self.log()

    def wait_log(self, text: str, timeout: float = 10.0, after: int = 0) -> str:
        """Wait until the log has `text` beyond its first `after` characters; give back that line."""
        until(lambda: text in self.log()[after:], timeout, f"no {text!r} in the log", self.log)
        return next(line for line in self.log()[after:].splitlines() if text.splitlines()[0] in line)

    def running(self) -> bool:
        """Whether the process we started lives."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """A signal to the process that was started."""
        os.kill(self.pid, number)

    def stop(self, timeout: float = 35.0) -> int:
        """A graceful stop by SIGTERM; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_end(timeout)

    def wait_end(self, timeout: float = 35.0) -> int:
        """Wait until the process we started is gone; its exit status (negative: the signal)."""
        assert self.process is not None, "not started"
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s; its log:\n{self.log()}") from None

    def descendants(self) -> set[int]:
        """Every living process that came from it, itself included, also those whose parent is gone."""
        return processes.marked("=".join(self._mark)) | processes.family(self.pid)

    def end(self) -> None:
        """Stop it if it runs, then end whatever is left; for the end of a test."""
        if self.process is not None:
            started = {pid: processes.start_time(pid) for pid in self.descendants()}
            if self.running():
                with contextlib.suppress(AssertionError):
                    self.stop(10.0)
            for pid in processes.marked("=".join(self._mark)):
                started[pid] = processes.start_time(pid)
            for pid, when in started.items():
                # A number may have been given to somebody else meanwhile.
                if processes.alive(pid) and processes.start_time(pid) == when:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        self._reservation.close()

    def _launch(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        assert not self.running(), "already running"
        name, value = self._mark
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**environment, name: value},
                start_new_session=True,
            )

    def _wait_listening(self, timeout: float = START_LIMIT) -> None:
        def listening() -> bool:
            if not self.running():
                raise AssertionError(f"it ended with status {self.wait_end()}; its log:\n{self.log()}")
            try:
                connect(self.address, 1.0).close()
            except OSError:
                return False
            return True

        until(listening, timeout, f"nothing listens on {self.address}", self.log)
