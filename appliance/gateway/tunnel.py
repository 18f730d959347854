"""Two connections joined after a change of protocol (RFC 9110 section 7.8): a client's and an application's.

    client   → octets → STDIN records → application          SCGI: the octets as they are
    client   ← octets ← STDOUT records ← application

What one side does not take is held, at most what one read brought, and the other side is not read until it is
gone: a slow side slows the other. Each direction ends by itself: a client that is done sending becomes the
end of STDIN; the end of the request (or of the connection) becomes the end of what the client gets. Errors
and waits beyond their limits end both. The application's slot is free as soon as its side has ended.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.gateway.errors import ProtocolError
from appliance.gateway.wire import Decoder, Wire
from appliance.http.deadline import Deadline
from appliance.http.handover import Handover
from appliance.http.loop import READ, WRITE, Loop, guarded

READ_SIZE = 65528  # with the head of its record one round 64 KiB
LINGER_SECONDS = 5.0  # for a client that has not read the end yet


@dataclass(frozen=True, slots=True)
class Detached:
    """An application's connection whose request goes on as a tunnel."""

    socket: _socket.socket
    wire: Wire
    decoder: Decoder
    unsent: bytes
    read_seconds: float  # 0: no limit
    write_seconds: float


class Owner(Protocol):
    """Who dug it."""

    def complained(self, pieces: list[bytes]) -> None:
        """Octets of the application's error stream."""

    def application_over(self, complete: bool) -> None:
        """The application's side has ended: by itself, or cut."""

    def tunnel_over(self, reason: str) -> None:
        """Both sides have ended, and why ("": as they should). The client's socket is still open."""

    def complain(self, text: str) -> None:
        """An error of our own, for the log."""


class _End:
    """One of the two connections."""

    __slots__ = (
        "_idle",
        "_linger",
        "_out",
        "_read_seconds",
        "_socket",
        "_stalled",
        "_tunnel",
        "_watcher",
        "_write_seconds",
        "finishing",
        "heard_all",
        "name",
    )

    def __init__(
        self,
        tunnel: Tunnel,
        loop: Loop,
        name: str,
        sock: _socket.socket,
        read_seconds: float,
        write_seconds: float,
    ) -> None:
        self._tunnel = tunnel
        self.name = name
        self._socket = sock
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._out: bytes | memoryview = b""
        self.heard_all = False  # it will send no more
        self.finishing = False  # it gets no more
        self._linger = 0.0  # seconds that it has to end by itself, once it has got everything; 0: any
        self._idle = Deadline(loop, self.on_idle)
        self._stalled = Deadline(loop, self.on_stalled)
        self._watcher = loop.watcher(sock.fileno(), self.on_ready)

    @property
    def holds(self) -> bool:
        """Something waits for it: the other side must not be read."""
        return bool(self._out)

    def arrange(self, may_read: bool) -> None:
        """Wait for what is possible now."""
        reading = may_read and not self.heard_all
        if reading and not self._watcher.events & READ and self._read_seconds:
            self._idle.after(self._read_seconds)
        elif not may_read:
            self._idle.clear()
        self._watcher.watch((READ if reading else 0) | (WRITE if self._out else 0))

    def send(self, data: bytes) -> int:
        """Write what it takes now, hold the rest. Returns the octets taken. Raises OSError."""
        if self._out:
            self._out = bytes(self._out) + data
            return 0
        self._out = data
        sent = self._flush()
        if self._out and self._write_seconds:
            self._stalled.after(self._write_seconds)
        return sent

    def _flush(self) -> int:
        out = self._out
        try:
            sent = self._socket.send(out)
        except (BlockingIOError, InterruptedError):
            sent = 0
        self._out = b"" if sent == len(out) else memoryview(out)[sent:]
        if not self._out:
            self._stalled.clear()
            if self.finishing:
                self._shut()
        elif sent and self._write_seconds:
            self._stalled.after(self._write_seconds)
        return sent

    def finish(self, linger: float = 0.0) -> None:
        """Tell it, after what is held, that nothing more comes. `linger`: from then on it has so many seconds
        to end by itself, whatever it says meanwhile; 0: as before."""
        self.finishing = True
        if linger:
            self._linger = linger
            self._read_seconds = 0.0
            self._idle.clear()
        if not self._out:
            self._shut()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):  # it has gone altogether
            self._socket.shutdown(socket.SHUT_WR)
        if self._linger:
            self._idle.after(self._linger)

    @guarded
    def on_ready(self) -> None:
        """The socket is ready for something."""
        tunnel = self._tunnel
        try:
            if self._out:
                tunnel.sent(self, self._flush())
            if self._watcher.events & READ:
                data = self._socket.recv(READ_SIZE)
                if self._read_seconds:
                    self._idle.after(self._read_seconds)
                if data:
                    tunnel.carry(self, data)
                else:
                    self.heard_all = True
                    tunnel.end_of(self)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            tunnel.cut(f"{self.name}: {error.strerror or error}")
        tunnel.arrange()

    @guarded
    def on_idle(self) -> None:
        """It was silent for too long."""
        lingering = self._tunnel.is_lingering
        self._tunnel.cut("" if lingering else f"{self.name} was silent for {self._read_seconds:g} s")

    @guarded
    def on_stalled(self) -> None:
        """It took nothing for too long."""
        self._tunnel.cut(f"{self.name} took nothing for {self._write_seconds:g} s")

    def failed(self, trace: str) -> None:
        """A callback raised (the guard tells)."""
        self._tunnel.failed(trace)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._watcher.close()
        self._idle.close()
        self._stalled.close()


class Tunnel:
    """See the module's text."""

    __slots__ = (
        "_application",
        "_client",
        "_count",
        "_decoder",
        "_fin",
        "_over",
        "_owner",
        "_socket",
        "_wire",
    )

    def __init__(
        self, loop: Loop, client: Handover, application: Detached, owner: Owner, *, propagate_fin: bool
    ) -> None:
        """`propagate_fin`: also shut down our direction of the application's connection."""
        self._owner = owner
        self._wire = application.wire
        self._decoder = application.decoder
        self._fin = propagate_fin
        self._count: Callable[[int], None] = client.count
        self._over = False
        self._socket = application.socket
        self._client = _End(
            self, loop, "the client", client.socket, client.read_seconds, client.write_seconds
        )
        self._application: _End | None = _End(
            self,
            loop,
            "the application",
            application.socket,
            application.read_seconds,
            # While it takes nothing the client is not read, and a client that has gone is not seen.
            application.write_seconds or client.read_seconds,
        )

    def start(self, client: Handover, application: Detached, early: bytes) -> None:
        """Begin with what each side is owed already; `early` came from the application after its head."""
        try:
            assert self._application is not None
            self.sent(self._client, self._client.send(client.first))
            if early:
                self.sent(self._client, self._client.send(early))
            to_application = application.unsent + (self._wire.body(client.early) if client.early else b"")
            if to_application:
                self._application.send(to_application)
            if self._decoder.ended:
                self._application_ended(complete=True)
        except OSError as error:
            self.cut(str(error.strerror or error))
        self.arrange()

    @property
    def is_lingering(self) -> bool:
        """Only the client is left, and it has been told everything."""
        return self._application is None

    def arrange(self) -> None:
        """Read from either side what the other can take."""
        if self._over:
            return
        application = self._application
        if application is None:
            self._client.arrange(may_read=True)
            return
        self._client.arrange(may_read=not application.holds)
        application.arrange(may_read=not self._client.holds)

    def sent(self, end: _End, octets: int) -> None:
        """One side took something."""
        if end is self._client and octets:
            self._count(octets)

    def carry(self, end: _End, data: bytes) -> None:
        """Octets of one side for the other."""
        application = self._application
        if application is None:
            return  # the client still talks to somebody who has left
        if end is self._client:
            application.send(self._wire.body(data))
            return
        decoder = self._decoder
        try:
            decoder.feed(data)
        except ProtocolError as error:
            self.cut(str(error))
            return
        if decoder.stderr:
            pieces, decoder.stderr = decoder.stderr, []
            self._owner.complained(pieces)
        if decoder.stdout:
            pieces, decoder.stdout = decoder.stdout, []
            self.sent(self._client, self._client.send(b"".join(pieces)))
        if decoder.ended:
            self._application_ended(complete=True)

    def end_of(self, end: _End) -> None:
        """One side has said everything."""
        application = self._application
        if end is not self._client:
            try:
                self._decoder.eof()
            except ProtocolError:
                self._application_ended(complete=False)
            else:
                self._application_ended(complete=True)
        elif application is None:
            self.cut("")
        elif not application.finishing:
            if self._wire.end:
                application.send(self._wire.end)
            if self._fin or not self._wire.end:
                application.finish()

    def _application_ended(self, complete: bool) -> None:
        """Its slot is free; the client reads what is left."""
        self._close_application(complete)
        if self._client.heard_all and not self._client.holds:
            self.cut("")
            return
        self._client.finish(LINGER_SECONDS)

    def _close_application(self, complete: bool) -> None:
        application, self._application = self._application, None
        if application is not None:
            application.close()
            self._socket.close()
            self._owner.application_over(complete)

    def cut(self, reason: str) -> None:
        """End both sides where they stand."""
        if self._over:
            return
        self._over = True
        self._close_application(complete=False)
        self._client.close()
        self._owner.tunnel_over(reason)

    def failed(self, trace: str) -> None:
        """A callback raised: this tunnel ends, nothing else."""
        self._owner.complain(trace)
        self.cut("an internal error")
