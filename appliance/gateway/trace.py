"""What fastcgi.debug shows of a connection: connections that take their time, and records as they pass.

A `TracedUpstream` speaks for requests that want to be traced; for any other it is an ordinary one. Only the
heads of records are shown, never what is in them: that belongs to the client.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from appliance.gateway import records, scgi
from appliance.gateway.link import Phase
from appliance.gateway.parties import Owner, Receiver, Timeouts
from appliance.gateway.records import RESPONDER
from appliance.gateway.upstream import Upstream
from appliance.gateway.wire import Wire
from appliance.http.loop import Loop
from appliance.http.spool import Spool

RECORDS = 2
"""The level of fastcgi.debug and scgi.debug at which records are shown; there is nothing beyond it."""

_HEADER = struct.Struct(">BBHHBx")  # section 3.3: version, type, request id, length, padding


@runtime_checkable
class Traced(Receiver, Protocol):
    """A receiver of an answer that wants to know how it came."""

    @property
    def detail(self) -> int:
        """The level."""

    def trace(self, text: str) -> None:
        """Say one thing about the request."""


class Passing:
    """The heads of the records in a stream of octets, in words."""

    def __init__(self) -> None:
        self._head = b""
        self._skip = 0  # octets of the record that is passing

    def feed(self, data: bytes) -> Iterator[str]:
        """The records that begin in these octets."""
        while data:
            if self._skip:
                passed = min(self._skip, len(data))
                self._skip -= passed
                data = data[passed:]
                continue
            missing = 8 - len(self._head)
            self._head += data[:missing]
            data = data[missing:]
            if len(self._head) < 8:
                return
            version, kind, number, length, padding = _HEADER.unpack(self._head)
            self._head = b""
            self._skip = length + padding
            name = records.NAMES.get(kind, f"type {kind}")
            text = f"{name} ({kind}) id {number} length {length} padding {padding}"
            if kind == records.BEGIN_REQUEST and len(data) >= 3:
                text += f" role {data[1]} flags {data[2]}"
            yield text if version == records.VERSION else f"no record of FastCGI 1: {text}"


class _RecordDecoder(records.Decoder):
    """One that shows what it is fed."""

    __slots__ = ("_came",)

    def __init__(self, came: Callable[[bytes], None]) -> None:
        super().__init__()
        self._came = came

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._came(data)
        super().feed(data)


class _StreamDecoder(scgi.Decoder):
    """The same for SCGI."""

    __slots__ = ("_came",)

    def __init__(self, came: Callable[[bytes], None]) -> None:
        super().__init__()
        self._came = came

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._came(data)
        super().feed(data)


class TracedUpstream(Upstream):
    """See the module's text."""

    __slots__ = ("_delayed", "_passing", "_records")

    def __init__(
        self,
        loop: Loop,
        owner: Owner,
        wire: Wire,
        address: str | tuple[str, int],
        timeouts: Timeouts,
        keep: bool,
    ) -> None:
        super().__init__(loop, owner, wire, address, timeouts, keep)
        self._delayed = False
        self._passing = Passing()  # what comes
        self._records = isinstance(self._decoder, records.Decoder)
        self._decoder = _RecordDecoder(self._came) if self._records else _StreamDecoder(self._came)

    def ask(self, receiver: Receiver, parameters: bytes, body: Spool | None, role: int = RESPONDER) -> None:
        """Send one request."""
        if isinstance(receiver, Traced) and receiver.detail >= RECORDS:
            head = self._wire.head(parameters, self.keep, role)
            alone = self.ends and (body is None or not body.size) and role == RESPONDER
            self._receiver = receiver
            self._show("to it", head + self._wire.end if alone else head, Passing())
        super().ask(receiver, parameters, body, role)

    def _next_piece(self) -> bytes:
        data = super()._next_piece()
        if data and self._detail() >= RECORDS:
            self._show("to it", data, Passing())
        return data

    def _came(self, data: bytes) -> None:
        if data and self._detail() >= RECORDS:
            self._show("from it", data, self._passing)

    def _show(self, where: str, data: bytes, passing: Passing) -> None:
        if self._records:
            for text in passing.feed(data):
                self._say(f"{where}: {text}")
        else:
            self._say(f"{where}: {len(data)} octets")

    def _connect(self) -> None:
        super()._connect()
        if self._phase is Phase.CONNECTING and not self._delayed and self._socket is not None:
            self._delayed = True
            reason = " (its backlog is full)" if self._pause is not None else ""
            self._say(f"connect delayed: {self._socket.fileno()}{reason}")

    def _connected(self) -> None:
        if self._delayed and self._socket is not None:
            self._delayed = False
            self._say(f"connect succeeded: {self._socket.fileno()}")
        super()._connected()

    def _detail(self) -> int:
        receiver = self._receiver
        return receiver.detail if isinstance(receiver, Traced) else 0

    def _say(self, text: str) -> None:
        receiver = self._receiver
        if isinstance(receiver, Traced):
            receiver.trace(text)
