"""The control socket: one JSON line in, one JSON line out; and the client that finds an instance and asks it.

    {"command": "status"} → {"ok": true, "status": {…}}        {"command": "reload"} → {"ok": false, "error":
    "…"}

It is a 0600 socket in a 0710 directory: who can connect is us or root, and may do what a signal could. An
answer may take its time (a reload answers when the new front is ready); a connection that says nothing is
closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.errors import UserError
from appliance.supervisor.listeners import bind_unix, remove_unix
from appliance.supervisor.loop import READ, WRITE, Loop, Timer
from appliance.supervisor.rundir import CONTROL, base_directory, check

REQUEST_LIMIT = 65536
CONNECTIONS = 16
SILENCE = 10.0  # seconds a client may take to ask, or to read its answer

Answer = Callable[[dict[str, Any]], None]


class Control:
    """The server's end. `handle(request, answer)` is called for each request and answers now or later."""

    def __init__(self, loop: Loop, path: Path, handle: Callable[[dict[str, Any], Answer], None]) -> None:
        """Binds the socket; raises UserError if it cannot."""
        self.path = path
        self._loop = loop
        self._handle = handle
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            bind_unix(self._socket, str(path))
        except OSError as error:
            raise UserError(f"cannot create the control socket {path}: {error.strerror}") from error
        finally:
            os.umask(mask)
        self._socket.listen(CONNECTIONS)
        self._connections: set[_Connection] = set()
        loop.watch(self._socket.fileno(), READ, self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            sock, _ = self._socket.accept()
            if len(self._connections) >= CONNECTIONS:
                sock.close()
            else:
                self._connections.add(_Connection(self._loop, sock, self._handle, self._connections.discard))

    def close(self) -> None:
        """Stop listening and remove the socket; answers on their way are completed as far as they go at
        once."""
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        remove_unix(str(self.path))
        for connection in list(self._connections):
            connection.close()


class _Connection:
    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        handle: Callable[[dict[str, Any], Answer], None],
        closed: Callable[[_Connection], None],
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._handle = handle
        self._closed = closed
        self._in = b""
        self._out = b""
        sock.setblocking(False)
        self._timer: Timer | None = loop.call_later(SILENCE, self.close)
        loop.watch(sock.fileno(), READ, self._read)

    def _read(self) -> None:
        try:
            data = self._socket.recv(REQUEST_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._in += data
        line, newline, _ = self._in.partition(b"\n")
        if newline:
            self._loop.forget(self._socket.fileno())
            self._cancel()
            self._ask(line)
        elif not data or len(self._in) > REQUEST_LIMIT:
            self.close()

    def _ask(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("not an object")
        except ValueError as error:
            self._answer({"ok": False, "error": f"not a request: {error}"})
            return
        self._handle(request, self._answer)

    def _answer(self, answer: dict[str, Any]) -> None:
        if self._socket.fileno() < 0:
            return
        self._out = json.dumps(answer).encode() + b"\n"
        self._timer = self._loop.call_later(SILENCE, self.close)
        self._write()

    def _write(self) -> None:
        try:
            self._out = self._out[self._socket.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._out = b""
        if self._out:
            self._loop.watch(self._socket.fileno(), WRITE, self._write)
        else:
            self.close()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._cancel()
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._closed(self)


def ask(path: Path, request: dict[str, Any], patience: float = 60.0) -> dict[str, Any]:
    """Send one request to a running instance. Raises UserError: it does not run, or it refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(patience)
        try:
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as file:
                line = file.readline()
        except (FileNotFoundError, ConnectionRefusedError):
            raise UserError(f"no fcgibox is running at {path}") from None
        except PermissionError:
            raise UserError(f"{path} belongs to another user: run this as that user, or with sudo") from None
        except TimeoutError:
            raise UserError(f"the fcgibox at {path} has not answered within {patience:g} s") from None
        except OSError as error:
            raise UserError(f"cannot talk to the fcgibox at {path}: {error.strerror}") from error
    if not line:
        raise UserError(f"the fcgibox at {path} ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    if not answer.get("ok"):
        raise UserError(str(answer.get("error", "it refused without a reason")))
    return answer


def find(name: str | None) -> Path:
    """The control socket of the instance called `name` (a unique beginning is enough), or of the only one
    running.

    Raises UserError that lists what runs.
    """
    with contextlib.suppress(FileNotFoundError):
        # Whoever made it first could answer in our instance's place.
        check(base_directory())
    running = {
        path.parent.name: path for path in sorted(base_directory().glob(f"*/{CONTROL}")) if _alive(path)
    }
    if name is not None and name in running:
        return running[name]
    fitting = [path for instance, path in running.items() if name is None or instance.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(running) or "none"
    if not running:
        where = base_directory()
        others = "" if os.geteuid() == 0 else " (root sees root's, with sudo)"
        raise UserError(
            f"no fcgibox of this user is running{others}; looked in {where}; --control PATH names a socket "
            "elsewhere"
        )
    if name is None or fitting:
        raise UserError(f"several instances are running: {listed}; say which one")
    raise UserError(f"no instance named {name!r} is running; these are: {listed}")


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        try:
            sock.connect(os.fspath(path))
        except OSError:
            return False
    return True
