"""Accepting connections: a bounded number at a time, and never giving up.

A callback that fails in accept would end the listener for good, so every error is met: a client that has gone
already is nothing, and when descriptors or memory run out accepting pauses, the connection that has been idle
longest is closed, and after a moment it goes on.
"""

from __future__ import annotations

import _socket
import errno
import socket
from collections.abc import Callable
from typing import Any, Protocol

from appliance.http.connection import Connection
from appliance.http.loop import READ, Loop, guarded
from appliance.http.request import Endpoint

BURST = 64  # connections accepted in one turn of the loop
PAUSE = 0.2  # seconds
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
_GONE = frozenset((errno.ECONNABORTED, errno.EPROTO, errno.EINTR, errno.EPERM))


class Door(Protocol):
    """What decides about new connections."""

    loop: Loop

    @property
    def is_full(self) -> bool:
        """As many connections as there may be."""

    def admit(self, sock: _socket.socket, endpoint: Endpoint) -> Connection:
        """Make the connection."""

    def make_room(self) -> bool:
        """Close the connection that has been idle longest; False if there is none."""

    def complain(self, text: str) -> None:
        """For the error log."""


class Listener:
    """One listening socket of the configuration."""

    def __init__(self, door: Door, fd: int, name: str, scheme: str = "http") -> None:
        self._door = door
        self._name = name
        self._scheme = scheme
        self._open = True
        self._paused = False
        self._complained = -3600.0
        self._socket = _socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._tcp = self._socket.family != _socket.AF_UNIX
        if self._tcp:
            # Accepted sockets inherit it: an answer must not wait for the acknowledgement of its head.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Only the C class has it: a descriptor, without a socket object made and thrown away.
        self._accept: Callable[[], tuple[int, Any]] = self._socket._accept  # type: ignore[attr-defined]
        self._watcher = door.loop.watcher(fd, self.on_ready)

    def start(self) -> None:
        """Accept from now on."""
        self._watcher.watch(READ)

    def close(self) -> None:
        """Accept no more. Our descriptor is closed; the supervisor keeps its own."""
        if self._open:
            self._open = False
            self._watcher.close()
            self._socket.close()

    @guarded
    def on_ready(self) -> None:
        """Somebody wants to connect."""
        door = self._door
        for _ in range(BURST):
            if door.is_full and not door.make_room():
                self._pause(
                    f"as many connections as there may be (server.max-connections), {self._name} waits"
                )
                return
            try:
                fd, address = self._accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                if error.errno in _EXHAUSTED:
                    door.make_room()
                    self._pause(
                        f"{self._name} cannot accept: {error.strerror}; raise server.max-fds (ulimit -n)"
                    )
                else:
                    self._pause(f"{self._name} cannot accept: {error.strerror}")
                return
            sock = _socket.socket(self._socket.family, _socket.SOCK_STREAM, 0, fileno=fd)
            sock.setblocking(False)
            try:
                door.admit(sock, self._endpoint(sock, address))
            except OSError:
                sock.close()  # it has gone again

    def _endpoint(self, sock: _socket.socket, address: object) -> Endpoint:
        if not self._tcp or not isinstance(address, tuple):
            return Endpoint(self._scheme, self._name, "", 0, "", 0)
        local = sock.getsockname()
        return Endpoint(self._scheme, self._name, _plain(address[0]), address[1], _plain(local[0]), local[1])

    def _pause(self, reason: str) -> None:
        if self._paused or not self._open:
            return
        now = self._door.loop.now()
        if now - self._complained > 10:
            self._complained = now
            self._door.complain(reason)
        self._paused = True
        self._watcher.watch(0)
        self._door.loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._paused = False
        self._watcher.watch(READ)

    def failed(self, trace: str) -> None:
        """Our callback raised (the guard tells). The listener must live on: gevent stopped the watcher."""
        self._door.complain(trace)
        self._watcher.watch(0)
        self._watcher.watch(READ)


def _plain(address: str) -> str:
    """An IPv4 client of an IPv6 listener by its IPv4 address."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address
