"""The sending half of a client connection: octets and files on their way out, and streams that are paused.

What the kernel takes at once never sees a queue. What it does not take waits in an `Output`, with one limit
on the time in which the client must take something.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
import struct

from appliance.http.deadline import Deadline
from appliance.http.loop import Watcher
from appliance.http.output import Output, Progress, Truncated
from appliance.http.response import StreamBody
from appliance.http.service import Service, Transaction
from appliance.http.sink import LOW_WATER, Sink
from appliance.http.state import State

RESET = struct.pack("ii", 1, 0)

_SENDING, _CLOSED = State.SENDING, State.CLOSED


class Sender:
    """What `Connection` is made of besides reading; it is the `Outlet` of a `Sink`."""

    __slots__ = (
        "_deadline",
        "_output",
        "_sent",
        "_service",
        "_sink",
        "_socket",
        "_status",
        "_stream",
        "_transaction",
        "_watcher",
        "state",
    )

    def __init__(self, service: Service, sock: _socket.socket) -> None:
        self._service = service
        self._socket = sock
        self.state = State.IDLE
        self._transaction: Transaction | None = None
        self._output: Output | None = None
        self._sent = 0  # octets of the body that the kernel took
        self._status = 0
        self._stream: StreamBody | None = None
        self._sink: Sink | None = None
        self._deadline: Deadline
        self._watcher: Watcher

    # What is the whole connection's business

    def _answered(self) -> None:
        """The whole answer is in the kernel's hands."""
        raise NotImplementedError

    def _client_gone(self) -> None:
        """Nobody is there to send to."""
        raise NotImplementedError

    def _watch(self) -> None:
        """Wait for what the state needs."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Another turn, after others had theirs."""
        raise NotImplementedError

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        raise NotImplementedError

    # A streamed body

    def stream_data(self, data: bytes) -> int:
        """Octets of a streamed body, framed already; the number that waits for the client."""
        self._send(data)
        return self._output.waiting if self._output is not None else 0

    def stream_end(self, complete: bool) -> None:
        """The streamed body is over; an incomplete one ends the connection where it stands."""
        sink, self._stream, self._sink = self._sink, None, None
        if self.state is not State.SENDING:
            return
        if not complete:
            if sink is not None and not sink.is_delimited:
                # For this client an ordinary end of the connection would be the end of the body: reset it.
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._cut()
            self.close()
        elif self._output is None or not self._output.waiting:
            self._answered()

    # Octets

    def _queue(self) -> Output:
        if self._output is None:
            self._output = Output()
        return self._output

    def _send_head(self, head: bytes) -> None:
        """Send a 1xx head; heads do not count as octets of the answer."""
        self._sent -= len(head)
        self._send(head)

    def _send(self, data: bytes) -> None:
        """Write now what the client takes now; queue the rest."""
        output = self._output
        if output is None:
            if self.state is _CLOSED:
                return
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._client_gone()
                return
            self._sent += sent
            if sent == len(data):
                if self.state is _SENDING and self._stream is None:
                    self._answered()
                return
            output = self._queue()
            data = data[sent:]
        output.add(data)
        self._flush()

    def _flush(self) -> None:
        output = self._output
        if output is None:
            return
        before = output.waiting
        try:
            progress = output.flush(self._socket)
        except Truncated as error:
            self._service.complain(f"{error}: the client sees a cut connection")
            self._client_gone()
            return
        except OSError:
            self._client_gone()
            return
        self._sent += before - output.waiting
        if progress is Progress.BLOCKED:
            self._deadline.after(self._service.limits.write_seconds)
        elif progress is Progress.MORE:
            self._service.loop.soon(self.go_on)
        else:
            self._output = None
            if self.state is _SENDING and self._stream is None:
                self._answered()
                return
            if self._stream is not None:
                self._deadline.clear()  # now the application is waited for, and its limits are elsewhere
        self._watch()

    def _refill(self) -> None:
        """The client took something: a stream that was asked to pause may go on."""
        if self._stream is not None and (self._output is None or self._output.waiting <= LOW_WATER):
            self._stream.resume()

    def _cut(self) -> None:
        """The answer ends here, complete or not."""
        transaction, self._transaction = self._transaction, None
        if self._output is not None:
            self._output.clear()
            self._output = None
        if transaction is not None:
            transaction.finished(self._status, max(0, self._sent))
