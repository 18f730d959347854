"""The front at work: listeners, connections, sites, and the line to the supervisor.

It is the `Service` of its connections and the `Door` of its listeners, and does what the supervisor says.
When the supervisor is gone it ends: nothing may serve that nobody looks after.
"""

from __future__ import annotations

import _socket
import gc
import os
import resource
import signal
import socket
from functools import partial
from typing import Any

from gevent.event import Event

from appliance.config import Configuration, PoolDefinition
from appliance.front.dispatch import Dispatch, groups
from appliance.front.options import FrontOptions
from appliance.front.services import FrontLog, Services
from appliance.front.sites import Sites
from appliance.gateway.trace import TracedUpstream
from appliance.gateway.upstream import Upstream
from appliance.handlers.chain import Transaction as Exchange
from appliance.handlers.status import CountedTransaction
from appliance.http.connection import Connection
from appliance.http.files import FileCache
from appliance.http.listener import Listener
from appliance.http.loop import READ, WRITE, Loop, WorkerPool, guarded
from appliance.http.request import Endpoint, Request
from appliance.http.serialize import Tail
from appliance.http.service import Limits, Transaction
from appliance.http.spool import Spool
from appliance.http.state import State
from appliance.passwords.checker import Checker
from appliance.passwords.store import PasswordStore
from appliance.passwords.throttle import Throttle
from appliance.report.access_log import AccessLog
from appliance.report.writer import Writer
from appliance.supervisor.channel import Channel

HEAD_SECONDS = 30.0
ARRIVAL_SECONDS = 1.0  # a new connection is not closed for another one before that
LEAVING_TICK = 0.1  # seconds between looks whether a leaving front is done
WORKER_BACKLOG = 256


class Front:
    """One generation of the front."""

    def __init__(
        self,
        configuration: Configuration,
        listeners: dict[str, int],
        channel_fd: int,
        logs: dict[str, int],
        options: FrontOptions,
    ) -> None:
        self._options = options
        self._status = 0
        self._ended = Event()
        self._leaving_until = 0.0
        self._leaving = False
        self._connections: set[Connection] = set()
        self._served = 0
        self._accepted = 0
        settings = configuration.settings
        self._writers = {name: Writer(fd) for name, fd in logs.items()}
        log = FrontLog(self._writers["error"], settings.string("fcgibox.error-log-level"))
        self.loop = Loop(log.error)
        self.limits = Limits(
            min(HEAD_SECONDS, settings.integer("server.max-read-idle")),
            settings.integer("server.max-read-idle"),
            settings.integer("server.max-write-idle"),
            settings.integer("server.max-keep-alive-idle"),
            settings.integer("server.max-request-field-size"),
            settings.integer("server.max-keep-alive-requests") or 1 << 60,
        )
        self.tail = Tail(settings.string("server.tag"))
        self._default_access_log = settings.optional_string("accesslog.filename")
        self._started = self.loop.now()
        self._channel = Channel(socket.socket(fileno=channel_fd))
        self._channel_watcher = self.loop.watcher(channel_fd, self.on_channel)
        desks = groups(
            configuration.pools(), self.loop, log, self._tell, partial(_connections, configuration)
        )
        dispatch = Dispatch(desks, log)
        workers = WorkerPool(self.loop, max(2, os.cpu_count() or 1), WORKER_BACKLOG)
        self.services = Services(
            self.loop,
            log,
            AccessLog(self._writers),
            workers,
            FileCache(self.loop),
            PasswordStore(log.error),
            Checker(workers, self.loop.now, log.error),
            Throttle(),
            dispatch,
            options.spool_directory,
        )
        self.services.describe = self._describe_all
        shown = configuration.anywhere("status.status-url")
        self._exchange = CountedTransaction if shown else Exchange
        self._sites = self.services.sites = Sites(configuration.matcher(), self.services)
        self._listeners = [Listener(self, fd, name) for name, fd in listeners.items()]

    def run(self) -> int:
        """Serve until told to leave. Returns the exit status."""
        # A terminal's Ctrl-C reaches the supervisor, which says what is to be done.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        # What was imported and compiled stays: collections need not look at it again and again.
        gc.collect()
        gc.freeze()
        self._channel_watcher.watch(READ)
        for listener in self._listeners:
            listener.start()
        self._tell({"type": "ready"})
        self._ended.wait()
        for writer in self._writers.values():
            writer.stop(2.0)
        return self._status

    # Connections

    @property
    def is_full(self) -> bool:
        """As many connections as there may be."""
        return len(self._connections) >= self._options.connection_limit

    def admit(self, sock: _socket.socket, endpoint: Endpoint) -> Connection:
        """A client has connected."""
        self._accepted += 1
        connection = Connection(self, sock, endpoint)
        self._connections.add(connection)
        return connection

    def make_room(self) -> bool:
        """Close the connection that has been idle longest; one that has just come may still ask."""
        newest = self.loop.now() - ARRIVAL_SECONDS
        idle = [
            connection
            for connection in self._connections
            if connection.state is State.IDLE
            and (connection.request is not None or connection.idle_since < newest)
        ]
        if not idle:
            return False
        min(idle, key=lambda connection: connection.idle_since).close()
        return True

    def open(self, connection: Connection, request: Request) -> Transaction:
        """Begin to answer a request."""
        self._served += 1
        return self._exchange(self.services, self._sites.site(request), connection, request)

    def refused(self, connection: Connection, status: int, reason: str, line: bytes | None) -> None:
        """A request could not be read."""
        address = connection.endpoint.remote_address
        self.services.log.info(
            f"a request from {address or connection.endpoint.socket} was refused with {status}: {reason}"
        )
        if line is not None and self._default_access_log is not None:
            self.services.access.write_refused(self._default_access_log, address, line, status)

    def closed(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)

    def complain(self, text: str) -> None:
        """An error of our own."""
        self.services.log.error(text)

    def spool(self) -> Spool:
        """For a request body."""
        return self.services.spool()

    # The supervisor

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(message)
        except EOFError:
            self._end(1)
            return
        self._channel_watcher.watch(READ | WRITE if self._channel.wants_write else READ)

    @guarded
    def on_channel(self) -> None:
        """The supervisor says something, or takes what we had to say."""
        try:
            if self._channel.wants_write and self._channel.flush():
                self._channel_watcher.watch(READ)
            for message, fds in self._channel.receive():
                self._told(message, fds)
        except EOFError:
            self._end(1)

    def _told(self, message: dict[str, Any], fds: list[int]) -> None:
        kind = message["type"]
        if kind == "file":
            self.services.passwords.update(message["path"], message["content"], message["error"])
        elif kind == "drain":
            self._leave(message["limit"])
        elif kind == "logs":
            for name, fd in zip(message["names"], fds, strict=True):
                self._writers[name].reopen(fd)
        elif kind == "status":
            self._tell({"type": "status", "id": message["id"], "data": self._describe()})
        else:
            self.services.dispatch.told(message)

    def failed(self, trace: str) -> None:
        """The callback of the channel raised (the guard tells): gevent has stopped its watcher."""
        self.complain(trace)
        self._channel_watcher.watch(0)
        self._channel_watcher.watch(READ)

    def _describe(self) -> dict[str, Any]:
        states = [connection.state for connection in self._connections]
        return {
            "pid": os.getpid(),
            "generation": self._options.generation,
            "connections": len(states),
            "idle": sum(state is State.IDLE for state in states),
            "uptime": self.loop.now() - self._started,
            "octets": self.services.octets,
            "limit": self._options.connection_limit,
            "accepted": self._accepted,
            "requests": self._served,
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "pools": self.services.dispatch.status(),
        }

    def _describe_all(self) -> dict[str, Any]:
        """With the state of each connection, too much for a message."""
        return {**self._describe(), "states": [connection.state.value for connection in self._connections]}

    # Leaving

    def _leave(self, limit: float) -> None:
        """Accept nothing more, finish what runs within `limit` seconds, give the slots back, end."""
        if not self._leaving:
            self._leaving = True
            for listener in self._listeners:
                listener.close()
            for connection in list(self._connections):
                connection.drain()
            self.loop.call_later(LEAVING_TICK, self._look_whether_done)
        self._leaving_until = self.loop.now() + limit
        self._give_back()

    def _give_back(self) -> None:
        # A request that is still on its way in may need a slot when it is complete.
        arriving = sum(connection.is_arriving for connection in self._connections)
        self.services.dispatch.drain(arriving)

    def _look_whether_done(self) -> None:
        if self._connections and self.loop.now() < self._leaving_until:
            self._give_back()
            self.loop.call_later(LEAVING_TICK, self._look_whether_done)
            return
        if self._connections:
            self.services.log.warning(
                f"{len(self._connections)} connections were cut: the time to finish is over"
            )
            for connection in list(self._connections):
                connection.close()
        self._give_back()
        self._tell({"type": "drained"})
        self._end(0)

    def _end(self, status: int) -> None:
        self._status = status
        self._ended.set()


def _connections(configuration: Configuration, pool: PoolDefinition) -> type[Upstream]:
    """What makes connections to applications: where some scope wants to see them, such as can be seen."""
    return TracedUpstream if configuration.anywhere(f"{pool.protocol}.debug") else Upstream
