"""The private sockets of application processes: each process has one of its own, bound by us before it
starts.

Named as lighttpd names them (`SOCKET-N`, port + N), with the lowest N that no living process of ours has: so
the processes of a changed pool come up beside those they replace. Two pools never share an address.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from appliance.config import PoolDefinition
from appliance.config.listener import check_socket_path
from appliance.errors import UserError
from appliance.supervisor import rundir
from appliance.supervisor.chroot import outside
from appliance.supervisor.guardian import Guardian
from appliance.supervisor.holders import holder_of_port
from appliance.supervisor.identity import Identity
from appliance.supervisor.listeners import bind_unix, remove_unix
from appliance.supervisor.served import serves_path, serves_port

_MODE = 0o600
_LOWEST_BACKLOG = 1024  # lighttpd's, whatever is configured below it


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket and the address by which the front reaches it."""

    listener: socket.socket | None
    """None: somebody else listens there."""
    address: str
    place: str
    """The address as we see it: a front in a chroot reaches sockets below that."""


class Addresses:
    """All addresses that processes of ours have now."""

    def __init__(self, run_directory: Path, guardian: Guardian) -> None:
        self._run_directory = run_directory
        self._guardian = guardian
        self._taken: set[str] = set()
        self._made: set[Path] = set()
        self._foreign: set[str] = set()

    def bind(self, definition: PoolDefinition, front: Identity) -> Bound:
        """The next address for one more process: bound, so that only the front may connect to it, or served
        by somebody else. UserError: it cannot be had."""
        number = 0
        while (place := self._place(address := self._address(definition, number), front)) in self._taken:
            number += 1
        # What is only for one server (databases, a template's processes) is never somebody else's.
        sharing = not (definition.template or definition.exclusive)
        if sharing and definition.socket is not None:
            plain = self._place(named := f"unix:{definition.socket}", front)
            if number == 0 and plain not in self._taken and serves_path(plain[5:], front):
                return self._use(named, plain)
            if serves_path(place[5:], front):
                return self._use(address, place)
        try:
            if place.startswith("unix:"):
                listener = self._bind_unix(place.removeprefix("unix:"), definition, front)
            else:
                listener = self._bind_port(definition, number)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and definition.socket is None:
                host, port = definition.host or "127.0.0.1", definition.port + number
                if sharing and serves_port(host, port):
                    return self._use(address, place)
                raise UserError(
                    f"cannot listen on {address} for the application: "
                    f"{holder_of_port(port) or 'another process'} is using it; stop that one, "
                    "or remove bin-path to use it as it is"
                ) from None
            directory = os.path.dirname(place.removeprefix("unix:"))
            missing = error.errno == errno.ENOENT and f"there is no directory {directory}; create it"
            raise UserError(f"cannot listen on {place}: {missing or error.strerror}") from error
        self._taken.add(place)
        return Bound(listener, address, place)

    def _use(self, address: str, place: str) -> Bound:
        self._taken.add(place)
        self._foreign.add(place)
        return Bound(None, address, place)

    def free(self, place: str) -> None:
        """Its process is dead."""
        self._taken.discard(place)
        if place in self._foreign:
            self._foreign.discard(place)
            return
        if place.startswith("unix:"):
            path = place.removeprefix("unix:")
            remove_unix(path)
            self._guardian.discard_socket(path)
            directory = Path(path).parent
            if directory in self._made:
                with contextlib.suppress(OSError):  # the others' sockets are in it
                    directory.rmdir()
                    self._made.discard(directory)

    def protect(self, path: str) -> None:
        """A unix socket that we listen on ourselves: removed with us, never given to an application."""
        self._taken.add(f"unix:{path}")
        self._guardian.add_socket(path)

    def unprotect(self, path: str) -> None:
        """It has been removed."""
        self._taken.discard(f"unix:{path}")
        self._guardian.discard_socket(path)

    def _address(self, definition: PoolDefinition, number: int) -> str:
        if definition.socket is not None:
            return f"unix:{definition.socket}-{number}"
        if definition.port:
            return f"{definition.host or '127.0.0.1'}:{definition.port + number}"
        return f"unix:{self._run_directory / definition.name}-{number}.sock"

    def _place(self, address: str, front: Identity) -> str:
        if not address.startswith("unix:"):
            return address
        path = outside(front.root, address.removeprefix("unix:"))
        try:
            check_socket_path(path)
        except ValueError as error:
            raise UserError(f"cannot listen on {path}: {error}; choose a shorter server.chroot") from None
        return f"unix:{path}"

    def _bind_unix(self, path: str, definition: PoolDefinition, front: Identity) -> socket.socket:
        directory = Path(path).parent
        if directory != self._run_directory and rundir.prepare_another(directory, front.gid, front.root):
            self._made.add(directory)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Its mode from the first moment on: a chmod afterwards would follow a link that somebody put there.
        mask = os.umask(0o777 & ~_MODE)
        try:
            bind_unix(listener, path)
            if os.geteuid() == 0:
                os.chown(path, front.uid, front.gid, follow_symlinks=False)
            listener.listen(max(definition.listen_backlog, _LOWEST_BACKLOG))
        except (OSError, UserError):
            listener.close()
            raise
        finally:
            os.umask(mask)
        self._guardian.add_socket(path)
        return listener

    def _bind_port(self, definition: PoolDefinition, number: int) -> socket.socket:
        host, port = definition.host or "127.0.0.1", definition.port + number
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(max(definition.listen_backlog, _LOWEST_BACKLOG))
        except OSError:
            listener.close()
            raise
        return listener
