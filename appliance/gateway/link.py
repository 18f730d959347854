"""The socket of a connection to an application: opened, timed and closed.

What is said on it, and what becomes of that, is the `upstream`'s part.
"""

from __future__ import annotations

import _socket
import enum
import errno
import socket

from appliance.gateway.failure import Stage
from appliance.gateway.parties import Owner, Timeouts
from appliance.http.deadline import Deadline
from appliance.http.loop import WRITE, Loop, Watcher, guarded
from appliance.http.spool import Spool
from appliance.http.wheel import Timer

SILENT_SECONDS = 15  # of a machine somewhere else, until it is asked whether it lives
BUSY_PAUSE = 0.05  # seconds between attempts while a backlog is full


class Phase(enum.Enum):
    """What a connection is doing."""

    CONNECTING = "connecting"
    SENDING = "sending"
    RECEIVING = "receiving"
    KEPT = "kept"
    DISCARDING = "discarding"
    CLOSED = "closed"


class Link:
    """See the module's text. `address` is a path for a unix socket, or (host, port)."""

    __slots__ = (
        "_address",
        "_body",
        "_deadline",
        "_loop",
        "_out",
        "_owner",
        "_pause",
        "_phase",
        "_socket",
        "_timeouts",
        "_watcher",
        "keep",
        "patient",
        "slot",
    )

    def __init__(
        self, loop: Loop, owner: Owner, address: str | tuple[str, int], timeouts: Timeouts, keep: bool
    ) -> None:
        self._loop = loop
        self._owner = owner
        self._address = address
        self._timeouts = timeouts
        self.keep = keep  # ask the application to leave the connection open
        self.patient = True  # wait for room in a full backlog; False: the request can go elsewhere
        self.slot: object = None  # the slot this connection serves; the owner's to use
        self._phase = Phase.CLOSED
        self._socket: _socket.socket | None = None
        self._watcher: Watcher  # from connect to close
        self._deadline = Deadline(loop, self.on_deadline)
        self._pause: Timer | None = None  # before the next attempt to connect
        self._out: bytes | memoryview = b""  # to be sent next
        self._body: Spool | None = None  # to be sent after it

    # What becomes of it

    def on_ready(self) -> None:
        """The socket is ready for what was waited for."""
        raise NotImplementedError

    def on_deadline(self) -> None:
        """A wait has become too long."""
        raise NotImplementedError

    def failed(self, trace: str) -> None:
        """A callback raised (the guard tells)."""
        raise NotImplementedError

    def _connected(self) -> None:
        """The application's side has accepted it."""
        raise NotImplementedError

    def _fail(self, stage: Stage, error: OSError | None, *, reason: str = "", timeout: bool = False) -> None:
        """It is of no use any more, for this error or reason: close it and say so."""
        raise NotImplementedError

    # Opening

    def _connect(self) -> None:
        if self._socket is None:
            family = _socket.AF_UNIX
            if not isinstance(self._address, str):
                family = _socket.AF_INET6 if ":" in self._address[0] else _socket.AF_INET
            try:
                self._socket = _socket.socket(
                    family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
                )
            except OSError as error:
                self._fail(Stage.CONNECTING, error)
                return
            if family != _socket.AF_UNIX:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.keep or not self._address[0].startswith(("127.", "::1")):
                    _ask_for_signs_of_life(self._socket)
            self._watcher = self._loop.watcher(self._socket.fileno(), self.on_ready)
        try:
            self._socket.connect(self._address)
        except BlockingIOError as error:
            if error.errno == errno.EINPROGRESS:
                self._watcher.watch(WRITE)
            elif not self.patient:
                self._fail(Stage.CONNECTING, error)
            else:
                # A unix socket with a full backlog answers EAGAIN, and nothing tells when it has room.
                self._pause = self._loop.call_later(BUSY_PAUSE, self.on_pause_over)
            return
        except OSError as error:
            self._fail(Stage.CONNECTING, error)
            return
        self._connected()

    @guarded
    def on_pause_over(self) -> None:
        """Another attempt to connect to a socket whose backlog was full."""
        self._pause = None
        if self._phase is Phase.CONNECTING:
            self._connect()

    # What is told about it

    @property
    def is_reached(self) -> bool:
        """Whether the application's side has accepted the connection, which is open."""
        return self._phase is not Phase.CONNECTING and self._phase is not Phase.CLOSED

    @property
    def local_port(self) -> int | None:
        """Our port of a TCP connection; None: a unix socket, or none at all."""
        if self._socket is None or isinstance(self._address, str):
            return None
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """The descriptor, -1 if it is closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def _local_address(self) -> str:
        """Our address on a connection over TCP; "" on a unix socket, or without one."""
        if self._socket is None or isinstance(self._address, str):
            return ""
        try:
            return str(self._socket.getsockname()[0])
        except OSError:
            return ""

    # Waiting and ending

    def _wait(self, seconds: float) -> None:
        """What is waited for now may take `seconds`; 0: any time."""
        if seconds:
            self._deadline.after(seconds)
        else:
            self._deadline.clear()

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._phase = Phase.CLOSED
        self._deadline.close()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        sock, self._socket = self._socket, None
        self._body = None
        self._out = b""
        if sock is not None:
            self._watcher.close()
            sock.close()


def _ask_for_signs_of_life(sock: _socket.socket) -> None:
    """A machine that is switched off says nothing more: have the kernel ask, and end the connection (tcp(7)).

    Without it a request there would wait for ever, and a kept connection would be found dead by the next one.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENT_SECONDS // 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
