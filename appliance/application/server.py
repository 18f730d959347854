"""An application process: one request at a time, blocking, between requests watching everything.

A poll watches the listener and all connections, so a kept connection of one front never pins the process, and
stays as long as the front wants it. What becomes of the idle ones while we are busy: see surplus.py.

A connection that has just been accepted gets a moment to begin before more are taken, because other processes
may share the listener and be free; after that they are taken side by side, so that a silent one costs nobody
anything.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import time
from typing import Mapping

from appliance.application import surplus
from appliance.application.connection import FastCGIConnection, SCGIConnection
from appliance.application.exchange import Application
from appliance.application.lifetime import Stop
from appliance.application.log import note
from appliance.application.sendfile import directories
from appliance.errors import UserError

PROTOCOLS: dict[str, type[FastCGIConnection | SCGIConnection]] = {
    "fcgi": FastCGIConnection,
    "scgi": SCGIConnection,
}

READ_TIMEOUT = 60.0
"""Seconds without an octet after which a request that has begun is given up."""

_PATIENCE = 0.05  # seconds that a new connection has to itself
_MOST_CONNECTIONS = 32
_SILENT_LIMIT = 2.0  # seconds after which a silent connection may be closed, if there are too many
_PAUSE = 0.5  # seconds without accepting after it failed


class Server:
    """Serves a WSGI application on a listening socket until it is asked to stop."""

    def __init__(
        self,
        application: Application,
        listener: socket.socket,
        protocol: str,
        stop: Stop,
        environment: Mapping[str, str] | None = None,
        shared: bool = True,
    ) -> None:
        """`stop` says when to end; `shared` whether other processes may accept from the listener too.

        `environment` (default: ours) may have FCGI_WEB_SERVER_ADDRS and FCGIBOX_XSENDFILE. Raises UserError
        for a malformed FCGI_WEB_SERVER_ADDRS.
        """
        environment = os.environ if environment is None else environment
        self._application = application
        self._listener = listener
        self._connection_type = PROTOCOLS[protocol]
        self._sendfile_directories = directories(environment)
        self._allowed = _allowed_peers(environment) if listener.family != socket.AF_UNIX else None
        self._connections: dict[int, FastCGIConnection | SCGIConnection] = {}
        self._stop = stop
        self._shared = shared
        self._paused_until = 0.0
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._poll.register(stop, select.POLLIN)

    def run(self) -> None:
        """Serve until it is time to stop; a running request is finished first."""
        self._listener.setblocking(False)
        try:
            while not self._stop.requested:
                self._turn()
            self._last_turn()
        finally:
            for connection in list(self._connections.values()):
                connection.close()

    def _turn(self) -> None:
        """Wait for something to happen, and deal with it."""
        events = self._wait()
        answered = self._serve(events)
        if not answered and self._listener.fileno() in events and not self._stop.requested:
            self._accept()
        self._drop_stalled()

    def _last_turn(self) -> None:
        """Answer the requests that are already here; what else is on its way, the front sends elsewhere."""
        self._serve(dict(self._poll.poll(0)))

    def _wait(self) -> dict[int, int]:
        now = time.monotonic()
        timeouts = [c.since + READ_TIMEOUT - now for c in self._connections.values() if not c.idle]
        hold = max(self._hold_until(), self._paused_until) - now
        if hold > 0:
            timeouts.append(hold)
        self._poll.modify(self._listener, 0 if hold > 0 else select.POLLIN)
        timeout = max(0.0, min(timeouts)) * 1000 + 1 if timeouts else None
        return dict(self._poll.poll(timeout))

    def _hold_until(self) -> float:
        """Until when nothing is accepted, because a new connection has its moment or there are too many."""
        silent = [c.since for c in self._connections.values() if c.idle and not c.used]
        if len(self._connections) >= _MOST_CONNECTIONS and not any(map(_is_kept, self._connections.values())):
            return min(silent) + _SILENT_LIMIT if silent else time.monotonic() + _PAUSE
        return max(silent) + _PATIENCE if silent else 0.0

    def _serve(self, events: Mapping[int, int]) -> bool:
        """Read what has come, answer what is complete. True if something was: that may have taken long."""
        answered = False
        for number, connection in list(self._connections.items()):
            if number not in events:
                continue
            connection.read()
            if connection.ready:
                with surplus.given_up(self._others_idle(connection) if self._shared else ()):
                    connection.answer(self._application)
                answered = True
            if not connection.open:
                self._poll.unregister(number)
                del self._connections[number]
        return answered

    def _accept(self) -> None:
        try:
            accepted, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was quicker, or the client left
        except OSError as error:
            note(f"cannot accept a connection, next try in {_PAUSE} s: {error}")
            self._paused_until = time.monotonic() + _PAUSE
            return
        self._make_room()
        if self._allowed is not None and not _is_allowed(address[0], self._allowed):
            note(f"connection from {address[0]} refused: FCGI_WEB_SERVER_ADDRS does not name it")
            accepted.close()
            return
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[accepted.fileno()] = self._connection_type(accepted, self._sendfile_directories)
        self._poll.register(accepted, select.POLLIN)

    def _make_room(self) -> None:
        """If there are too many, close the one that is idle longest, first of those that were used."""
        if len(self._connections) < _MOST_CONNECTIONS:
            return
        # Looked at again, because a front may have begun to send since.
        events = dict(self._poll.poll(0))
        idle = [(not c.used, c.since, n) for n, c in self._connections.items() if c.idle and n not in events]
        if idle:
            self._drop(min(idle)[2])

    def _others_idle(self, busy: FastCGIConnection | SCGIConnection) -> list[socket.socket]:
        return [c.socket for c in self._connections.values() if c is not busy and _is_kept(c)]

    def _drop_stalled(self) -> None:
        limit = time.monotonic() - READ_TIMEOUT
        for number, connection in list(self._connections.items()):
            if not connection.idle and connection.since < limit:
                note(f"a request did not get on for {READ_TIMEOUT:.0f} s; connection closed")
                self._drop(number)

    def _drop(self, number: int) -> None:
        self._poll.unregister(number)
        self._connections.pop(number).close()


def _is_kept(connection: FastCGIConnection | SCGIConnection) -> bool:
    return connection.used and connection.idle


def _allowed_peers(environment: Mapping[str, str]) -> frozenset[str] | None:
    """FastCGI 1.0 section 3.2: the addresses that may connect over TCP; None if all may."""
    value = environment.get("FCGI_WEB_SERVER_ADDRS")
    if value is None:
        return None
    try:
        return frozenset(str(ipaddress.ip_address(word.strip())) for word in value.split(","))
    except ValueError as error:
        raise UserError(
            f"FCGI_WEB_SERVER_ADDRS={value!r}: {error}; it is IP addresses joined by commas"
        ) from None


def _is_allowed(address: str, allowed: frozenset[str]) -> bool:
    peer = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(peer, "ipv4_mapped", None)
    return str(mapped or peer) in allowed
