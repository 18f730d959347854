"""One client connection: a state machine driven by readiness and one timer, no greenlet (RFC 9112).

    IDLE → HEAD → SERVING ⇄ BODY → SENDING → IDLE …            keep-alive, pipelined requests one after the
    other
                              ├→ TUNNEL → CLOSED              the socket is in other hands
                              └→ LINGERING → CLOSED             the answer must reach a client that still
                              sends

The connection knows requests and responses and nothing of what answers them: `Service.open` gives a
`Transaction` for each request, which calls `answer` once. A client that leaves is reported to the transaction
at once.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
from collections.abc import Callable
from math import inf

from appliance.http.body import BadBody
from appliance.http.deadline import Deadline
from appliance.http.handover import Yielding
from appliance.http.head import BadRequest, find_head, parse_head
from appliance.http.incoming import Incoming, TooLarge
from appliance.http.loop import READ, WRITE, guarded
from appliance.http.request import Endpoint, Request
from appliance.http.response import FileBody, Header, Response, error_response
from appliance.http.serialize import BODYLESS, field_lines, frame, status_line
from appliance.http.service import Service
from appliance.http.sink import Sink
from appliance.http.spool import Spool
from appliance.http.state import State

HEAD_SIZE = 16384  # octets read at once; for more a larger piece of memory would have to be found each time
BODY_SIZE = 65536
PIPELINE_LIMIT = 65536  # octets of further requests read while one is answered
PIPELINE_BURST = 32  # requests answered in one turn of the loop
ARRIVAL_SECONDS = 0.1  # that a leaving server waits for the next request of a busy client
LINGER_SECONDS = 5.0  # without an octet
LONGEST_LINGER = 30.0

# The states of every request, without the enum's descriptors in between.
_IDLE, _HEAD, _SERVING, _BODY = State.IDLE, State.HEAD, State.SERVING, State.BODY
_SENDING, _LINGERING, _CLOSED = State.SENDING, State.LINGERING, State.CLOSED


class Connection(Yielding):
    """See the module's text."""

    __slots__ = (
        "_advancing",
        "_keep",
        "_linger_until",
        "_served",
        "endpoint",
        "idle_since",
        "request",
    )

    def __init__(self, service: Service, sock: _socket.socket, endpoint: Endpoint) -> None:
        """`sock` is connected and non-blocking; the connection owns it from now on."""
        super().__init__(service, sock)
        self.endpoint = endpoint
        self.request: Request | None = None
        self._advancing = False
        self._served = 0
        self._keep = True
        self._linger_until = 0.0
        self._deadline = Deadline(service.loop, self.on_deadline)
        self.idle_since = self._deadline.after(service.limits.head_seconds)
        self._watcher = service.loop.watcher(sock.fileno(), self.on_ready)
        self._watcher.watch(READ)

    @property
    def is_arriving(self) -> bool:
        """Its request, if one comes, may still need an application: nobody knows yet."""
        transaction = self._transaction
        if self.state is _SERVING:
            return transaction is not None and not transaction.engaged
        return self.state is _IDLE or self.state is _HEAD or self.state is _BODY

    # Reading

    @guarded
    def on_ready(self) -> None:
        """The socket is readable or writable, whichever was waited for."""
        if self._watcher.events & WRITE:
            self._flush()
            self._refill()
            return
        try:
            data = self._socket.recv(BODY_SIZE if self.state is _BODY else HEAD_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            if not self._is_patient():
                self._client_gone()
        elif self.state is _LINGERING:
            if self._deadline.after(LINGER_SECONDS) > self._linger_until:
                self.close()
        else:
            self._input = self._input + data if self._input else data
            self._advance()

    @guarded
    def go_on(self) -> None:
        """Another turn: for pipelined requests and long answers that gave way to others."""
        if self.state is State.SENDING:
            self._flush()
            self._refill()
        elif self.state is not State.CLOSED:
            self._advance()

    def _advance(self) -> None:
        """Take as much of the input as the state allows. Never recurses: an answer given meanwhile is taken
        up here.
        """
        if self._advancing:
            return
        self._advancing = True
        burst = PIPELINE_BURST
        try:
            while self._input:
                state = self.state
                if state is _IDLE or state is _HEAD:
                    if not burst:
                        self._service.loop.soon(self.go_on)
                        break
                    burst -= 1
                    if not self._take_head():
                        break
                elif state is not _BODY or not self._take_body():
                    break
        finally:
            self._advancing = False
        self._watch()

    def _take_head(self) -> bool:
        """Begin the next request; False if its head is not complete or was refused."""
        service = self._service
        data = self._input
        try:
            length = find_head(data, service.limits.head_octets)
            if length <= 0:
                self._input = data[-length:]
                if self.state is _IDLE:
                    self.state = _HEAD
                    self._deadline.after(service.limits.head_seconds)
                return False
            if length == len(data):
                self._input = b""
                request = parse_head(data, self.endpoint)
            else:
                self._input = data[length:]
                request = parse_head(data[:length], self.endpoint)
        except BadRequest as error:
            self._refuse(error.status, error.reason, data)
            return False
        self.request = request
        self._served += 1
        self._status = 499  # unless an answer is given: the client left before
        self._sent = 0
        self._deadline.at = inf
        self.state = _SERVING
        self._incoming = None if request.content_length == 0 else Incoming(request.content_length)
        self._transaction = service.open(self, request)
        self._transaction.start()
        return True

    # The request's body

    def receive_body(self, limit: int, done: Callable[[Spool], None]) -> None:
        """Receive the whole body, at most `limit` octets (0: any), then call `done` with it. Errors answer
        themselves.
        """
        request, incoming = self.request, self._incoming
        if self.state is not State.SERVING or request is None:
            return
        if incoming is None:
            done(self._service.spool())
            return
        if limit and request.content_length is not None and request.content_length > limit:
            self._refuse(413, str(TooLarge(limit)), b"")
            return
        incoming.keep(self._service.spool(), limit, done)
        self.state = State.BODY
        self._deadline.after(self._service.limits.read_seconds)
        if request.expects_continue and not self._input:
            self._send_head(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._advancing:
            self._advance()

    def _take_body(self) -> bool:
        """Feed the input to the body; False if more must arrive first, or it was refused."""
        incoming = self._incoming
        data, self._input = self._input, b""
        if incoming is None:
            return False
        try:
            self._input = incoming.feed(data)
        except BadBody as error:
            self._refuse(400, str(error), b"")
            return False
        except TooLarge as error:
            self._refuse(413, str(error), b"")
            return False
        except OSError as error:
            self._service.complain(
                f"a request body could not be kept: {error.strerror}; make room or set server.upload-dirs"
            )
            self._refuse(507, "the server has no room for the request body", b"")
            return False
        if not incoming.complete:
            self._deadline.after(self._service.limits.read_seconds)
            return False
        self.state = State.SERVING
        self._deadline.clear()
        self._incoming = None
        incoming.deliver()
        return True

    # Answering

    def interim(self, status: int, headers: list[Header]) -> None:
        """Send a 1xx response ahead of the answer; HTTP/1.0 has none (RFC 9110 section 15.2)."""
        if self.request is not None and self.request.version == "HTTP/1.1" and self.state is State.SERVING:
            self._send_head(status_line(status) + field_lines(headers) + b"\r\n")

    def answer(self, response: Response) -> None:
        """Send the one response to the request at hand."""
        request = self.request
        if request is None or (self.state is not _SERVING and self.state is not _BODY):
            response.discard()
            return
        service = self._service
        if self._incoming is not None:
            self._drop_body()
        may_keep = not self.leaving and self._incoming is None and self._served < service.limits.requests
        head, length, chunked, self._keep = frame(request, response, may_keep, service.tail.octets())
        body = response.body
        bodyless = request.method == "HEAD" or response.status in BODYLESS
        self.state = _SENDING
        self._status = response.status
        self._sent -= len(head)  # what is counted is the body
        if isinstance(body, bytes):
            self._send(head if bodyless else head + body)
        elif bodyless:
            response.discard()
            self._send(head)
        elif isinstance(body, FileBody):
            output = self._queue()
            output.add(head)
            output.add_file(body)
            self._flush()
        else:
            self._stream = body
            sink = self._sink = Sink(self, length, chunked)
            self._send(head)
            if self.state is State.SENDING:
                body.start(sink)

    def _drop_body(self) -> None:
        """An answer that did not want the body: take what is here already, so that the connection may be
        kept.
        """
        incoming = self._incoming
        if incoming is not None:
            self._input = incoming.drop(self._input)
            if incoming.complete:
                self._incoming = None

    def _refuse(self, status: int, reason: str, data: bytes) -> None:
        """Answer a request that cannot be read, or not be read to its end; then close."""
        if self._transaction is not None:
            self._service.refused(self, status, reason, None)
            self.answer(error_response(status, reason, close=True))
            return
        self.request = None
        self._keep = False
        self._status = status
        self.state = State.SENDING
        response = error_response(status, reason)
        assert isinstance(response.body, bytes)
        self._send(
            b"%bContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n%b%b"
            % (status_line(status), len(response.body), self._service.tail.octets(), response.body)
        )
        self._service.refused(self, status, reason, data.partition(b"\r\n")[0][:256])

    # Waiting and ending

    def _answered(self) -> None:
        """The whole answer is in the kernel's hands."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.finished(self._status, self._sent)
        if self._keep and not self.leaving:
            self.state = _IDLE
            self.idle_since = self._deadline.after(self._service.limits.idle_seconds)
            if not self._advancing:
                self._advance()
        elif self._incoming is not None or self._input or self.request is None:
            # Closing now would reset the connection under an answer that the client has not read yet (RFC
            # 9112, 9.6).
            self.state = State.LINGERING
            self._input = b""
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._linger_until = self._deadline.after(LINGER_SECONDS) + LONGEST_LINGER
            self._watch()
        else:
            self.close()

    def _watch(self) -> None:
        if self.state is _CLOSED:
            return
        # Also while an answer is worked out: that is how a client that leaves is noticed.
        events = self._readable
        if self._output is not None:
            events = WRITE
        elif len(self._input) >= PIPELINE_LIMIT and (self.state is _SERVING or self.state is _SENDING):
            events = 0
        if events != self._watcher.events:
            self._watcher.watch(events)

    @guarded
    def on_deadline(self) -> None:
        """What was waited for did not come in time."""
        if self.state is _HEAD or (self.state is _IDLE and self._input):
            self._refuse(408, "the request did not arrive in time", self._input)
        elif self.state is _BODY:
            self._refuse(408, "the request body did not arrive in time", b"")
        else:
            self._client_gone()

    def drain(self) -> None:
        """The server leaves: finish what runs, then close. A request that has arrived already is still
        answered, and so is one on its way from a client that has just connected or been answered.
        """
        self.leaving = True
        if self.state is State.IDLE:
            self.on_ready()
        if self.state is State.IDLE:
            left = self.idle_since + ARRIVAL_SECONDS - self._service.loop.now()
            if left > 0:
                self._deadline.after(left)
            else:
                self.close()

    def failed(self, trace: str) -> None:
        """A callback raised (the guard tells): log it, end this connection only."""
        self._service.complain(trace)
        self._client_gone()

    def _client_gone(self) -> None:
        transaction, stream, sink = self._transaction, self._stream, self._sink
        self._stream = None
        self._sink = None
        self.state = State.CLOSED
        if sink is not None:
            sink.detach()
        if stream is not None:
            stream.cancel()
        if transaction is not None:
            transaction.gone()
        self._cut()
        self.close()

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        if self.state is State.TUNNEL:
            self._client_gone()
            return
        self._deadline.close()
        self.state = State.CLOSED
        if self._socket.fileno() < 0:
            return
        self._watcher.close()
        self._socket.close()
        if self._output is not None:
            self._output.clear()
        if self._incoming is not None:
            self._incoming.drop(b"")
            self._incoming = None
        self._input = b""
        self._service.closed(self)
