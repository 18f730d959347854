"""The supervisor's side of the template protocol, as far as a test needs it.

This process becomes a child subreaper, which the adoption of forked applications rests on.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.box import ROOT, clean_environment
from tests.waiting import until

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans(yes: bool = True) -> None:
    """Whether orphans among our descendants become our children."""
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0) == 0


class Template:
    """A template process, and the applications forked from it."""

    def __init__(self, words: list[str], place: Path, **environment: str) -> None:
        self.place = place
        self.applications: list[int] = []
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.control.settimeout(30)
        self.log_path = place / "template.log"
        with theirs, self.log_path.open("wb") as errors:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stderr=errors,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                env={**clean_environment(), **environment, "FCGIBOX_TEMPLATE": str(theirs.fileno())},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control.close()
        for pid in [self.process.pid, *self.applications]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pid in self.applications:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def log(self) -> str:
        """Standard error of the template."""
        return self.log_path.read_text()

    def receive(self) -> tuple[str, int]:
        """The next datagram and the pid of its sender."""
        data, ancillary, _, _ = self.control.recvmsg(4096, 256)
        pids = [
            struct.unpack("3i", content)[0]
            for level, kind, content in ancillary
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS
        ]
        return data.decode(), pids[0] if pids else 0

    def wait_ready(self) -> Self:
        """Wait for `ready`."""
        assert self.receive() == ("ready", self.process.pid), self.log()
        return self

    def order(self, datagram: str, *descriptors: int) -> None:
        """Send a datagram with descriptors."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        self.control.sendmsg([datagram.encode()], [rights] if descriptors else [])

    def fork(self, name: str) -> tuple[int, str]:
        """A new application: its pid and the path of its socket; its standard error is in NAME.log."""
        path = str(self.place / f"{name}.sock")
        with socket.socket(socket.AF_UNIX) as listener, (self.place / f"{name}.log").open("wb") as errors:
            listener.bind(path)
            listener.listen(16)
            self.order(f"fork {name}", listener.fileno(), errors.fileno())
        said, pid = self.receive()
        assert said == f"up {name}", said
        self.applications.append(pid)
        return pid, path


def ended(pid: int) -> int:
    """Wait for the end of an adopted child; its exit status, negative for a signal."""
    statuses: list[int] = []

    def gone() -> bool:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            statuses.append(os.waitstatus_to_exitcode(status))
        return bool(found)

    until(gone, 10, f"{pid} lives on")
    return statuses[0]


def parent_of(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
