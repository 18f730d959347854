"""A client's connection that others have a say in: after a change of protocol (RFC 9110 section 7.8), and
when the client is done sending.

After a change of protocol the connection still owns the socket and closes it; whoever has it reads and writes
until then.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from dataclasses import dataclass

from appliance.http.incoming import Incoming
from appliance.http.loop import READ
from appliance.http.response import Header
from appliance.http.sender import Sender
from appliance.http.serialize import field_lines, status_line
from appliance.http.service import Service, Transaction
from appliance.http.state import State


@dataclass(frozen=True, slots=True)
class Handover:
    """What the new hands get."""

    socket: _socket.socket  # non-blocking, not watched
    first: bytes  # to be sent before anything else: the end of HTTP
    early: bytes  # came after the request already: of the new protocol
    read_seconds: float  # server.max-read-idle
    write_seconds: float  # server.max-write-idle
    count: Callable[[int], None]  # is told of octets sent, for the access log


def switching(headers: list[Header], protocol: bytes, tail: bytes) -> bytes:
    """The head of a 101 answer (RFC 9110 section 15.2.2); `tail` ends it."""
    fields = [*headers, (b"Connection", b"Upgrade"), (b"Upgrade", protocol)]
    return status_line(101) + field_lines(fields) + tail


class Yielding(Sender):
    """The part of a `Connection` that gives way."""

    __slots__ = ("_incoming", "_input", "_readable", "leaving", "on_half_close")

    def __init__(self, service: Service, sock: _socket.socket) -> None:
        super().__init__(service, sock)
        self._incoming: Incoming | None = None
        self._input = b""
        self._readable = READ  # READ, until the client is known to be done sending
        self.leaving = False  # the server drains: no further request on this connection
        # Who wants to hear of a client that is done sending: otherwise that counts as leaving.
        self.on_half_close: tuple[Transaction, Callable[[], None]] | None = None

    def hand_over(self, headers: list[Header], protocol: bytes) -> Handover | None:
        """Answer with 101 and give the socket away; None if that cannot be done any more.

        `handed_back` ends it. A client that has to go before that is reported to the transaction as usual.
        """
        if self.state is not State.SERVING or self._incoming is not None:
            return None
        first = switching(headers, protocol, self._service.tail.octets())
        if self._output is not None:  # interim answers
            first = self._output.take() + first
            self._output = None
        self._watcher.close()
        self._deadline.close()
        self.state = State.TUNNEL
        self._status = 101
        self._sent = -len(first)
        early, self._input = self._input, b""
        limits = self._service.limits
        return Handover(self._socket, first, early, limits.read_seconds, limits.write_seconds, self._count)

    def _count(self, octets: int) -> None:
        self._sent += octets

    def handed_back(self) -> None:
        """Nothing more is to be sent or received."""
        if self.state is State.TUNNEL:
            self.state = State.CLOSED
            self._cut()
            self.close()

    def _is_patient(self) -> bool:
        """The client is done sending: whether that is told to somebody who goes on with its request."""
        waiting = self.on_half_close
        if waiting is None or self._transaction is None or waiting[0] is not self._transaction:
            return False
        if self.state is not State.SERVING and self.state is not State.SENDING:
            return False
        self.on_half_close = None
        self.leaving = True  # no further request can come
        self._readable = 0
        self._watch()
        waiting[1]()
        return True
