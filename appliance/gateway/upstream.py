"""One connection to an application and the request on it: sent, its answer handed on, kept or closed.

    CONNECTING → SENDING → RECEIVING → KEPT → SENDING → …
                    └──────────┴→ DISCARDING    nobody wants the answer any more: it is read and dropped

Driven by readiness on the front's loop; opening it is the `link`'s part. It connects only when the head and
the spooled body are at hand (libfcgi drops a connection that stays silent for two seconds) and reads while it
still writes, so that an application which answers before it has read everything cannot block both sides. What
the octets mean is the wire's business.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import socket

from appliance.gateway.errors import ProtocolError
from appliance.gateway.failure import Failure, Stage
from appliance.gateway.link import Link, Phase
from appliance.gateway.parties import Owner, Receiver, Timeouts
from appliance.gateway.records import REQUEST_COMPLETE, RESPONDER
from appliance.gateway.tunnel import Detached
from appliance.gateway.wire import Wire
from appliance.http.loop import READ, WRITE, Loop, guarded
from appliance.http.spool import Spool

READ_SIZE = 65536
BODY_PIECE = 65528  # octets of the body per record: with its head one round 64 KiB
CHATTER = 1 << 18  # octets of the error stream in a row that count as progress
DISCARD_OCTETS = 1 << 20

_STAGES = {Phase.CONNECTING: Stage.CONNECTING, Phase.SENDING: Stage.SENDING}


class Upstream(Link):
    """See the module's text. `address` is a path for a unix socket, or (host, port)."""

    __slots__ = (
        "_accepted",
        "_answered",
        "_chatter",
        "_decoder",
        "_discarded",
        "_offset",
        "_paused",
        "_receiver",
        "_served",
        "_wire",
        "ends",
    )

    def __init__(
        self,
        loop: Loop,
        owner: Owner,
        wire: Wire,
        address: str | tuple[str, int],
        timeouts: Timeouts,
        keep: bool,
    ) -> None:
        super().__init__(loop, owner, address, timeouts, keep)
        self._wire = wire
        self.ends = True  # a request without a body is complete at once; False: `end_body` ends it
        self._decoder = wire.decoder()
        self._receiver: Receiver | None = None
        self._offset = 0
        self._served = 0
        self._accepted = False
        self._answered = False
        self._paused = False
        self._discarded = 0
        self._chatter = 0  # octets of the error stream since the answer went on

    # Asking

    def ask(self, receiver: Receiver, parameters: bytes, body: Spool | None, role: int = RESPONDER) -> None:
        """Send one request. The receiver is told of everything that follows, perhaps before this returns."""
        self._receiver = receiver
        self._body = body if body is not None and body.size else None
        self._offset = 0
        self._accepted = False
        self._answered = False
        self._chatter = 0
        out = self._wire.head(parameters, self.keep, role)
        # An authorizer has no STDIN (FastCGI 1.0 section 6.3).
        whole = self.ends and self._body is None and role == RESPONDER
        self._out = out + self._wire.end if whole else out
        if self._phase is Phase.KEPT:
            self._phase = Phase.SENDING
            self._send()
        else:
            self._phase = Phase.CONNECTING
            self._wait(self._timeouts.connect)
            self._connect()

    def _connected(self) -> None:
        self._phase = Phase.SENDING
        self._deadline.clear()
        self._send()

    def _send(self) -> None:
        """Write what the application takes; then wait for its answer."""
        sock = self._socket
        assert sock is not None
        try:
            while True:
                out = self._out
                if not out:
                    # Kept before it is sent: what the application does not take now goes out later.
                    out = self._out = self._next_piece()
                    if not out:
                        break
                sent = sock.send(out)
                self._accepted = True
                self._out = b"" if sent == len(out) else memoryview(out)[sent:]
        except (BlockingIOError, InterruptedError):
            self._wait(self._timeouts.write)
            self._watcher.watch(WRITE if self._paused else READ | WRITE)
            return
        except OSError as error:
            # It may have answered and closed without reading everything: what it said counts.
            if self._phase is Phase.SENDING and self._answer_is_waiting():
                self._phase = Phase.RECEIVING
                self._out = b""
                self._body = None
                self._watcher.watch(READ)
            else:
                self._fail(Stage.SENDING, error)
            return
        if self._phase is Phase.SENDING:
            self._phase = Phase.RECEIVING
        if self._paused:
            self._deadline.clear()
            self._watcher.watch(0)
        else:
            self._wait(self._timeouts.read)
            self._watcher.watch(READ)

    def _next_piece(self) -> bytes:
        """More of the body for the wire, its end after the last piece, b"" when all is queued."""
        body = self._body
        if body is None:
            return b""
        data = body.read(self._offset, BODY_PIECE)
        if data:
            self._offset += len(data)
            return self._wire.body(data)
        self._body = None
        return self._wire.end

    def _answer_is_waiting(self) -> bool:
        assert self._socket is not None
        try:
            return bool(self._socket.recv(1, _socket.MSG_PEEK))
        except OSError:
            return False

    # What is told about it

    @property
    def served(self) -> int:
        """Requests that are over: with the connection itself, this names the one that runs."""
        return self._served

    @property
    def paused(self) -> bool:
        """It waits for its client."""
        return self._paused

    def asked(self) -> str:
        """What was asked, for the log."""
        return self._receiver.asked() if self._receiver is not None else "a request whose client has left"

    # Receiving

    @guarded
    def on_ready(self) -> None:
        """The socket is ready for what was waited for."""
        phase = self._phase
        if phase is Phase.RECEIVING or phase is Phase.DISCARDING:
            self._receive()
        elif phase is Phase.SENDING:
            # One readiness event does not say which way: both are tried, each without waiting.
            if not self._paused:
                self._receive()
            if self._phase is Phase.SENDING:
                self._send()
        elif phase is Phase.CONNECTING:
            assert self._socket is not None
            number = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if number:
                self._fail(Stage.CONNECTING, OSError(number, os.strerror(number)))
            else:
                self._owner.delayed(self)
                self._connected()
        elif phase is Phase.KEPT:
            self.close()
            self._owner.lost(self)

    def _receive(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._ended_by(error)
            return
        decoder = self._decoder
        try:
            if data:
                decoder.feed(data)
            else:
                decoder.eof()
        except ProtocolError as error:
            if data:
                self._fail(Stage.ANSWERING if self._answered else Stage.WAITING, None, reason=str(error))
            else:
                self._ended_by(None)
            return
        if self._phase is Phase.DISCARDING:
            self._discard(len(data))
            return
        receiver = self._receiver
        assert receiver is not None
        if decoder.stderr:
            pieces = decoder.stderr
            decoder.stderr = []
            self._chatter += sum(map(len, pieces))
            receiver.complained(pieces)
        ended = decoder.ended
        if decoder.stdout:
            self._answered = True
            self._chatter = 0
            pieces = decoder.stdout
            decoder.stdout = []
            receiver.received(pieces)
        if self._receiver is not receiver or self._phase is Phase.CLOSED:
            return  # it was abandoned or closed meanwhile
        if ended and decoder.protocol_status != REQUEST_COMPLETE and not self._answered:
            self._fail(
                Stage.WAITING, None, reason=f"it refused the request (status {decoder.protocol_status})"
            )
        elif ended:
            self._complete(receiver, bool(data))
        elif self._phase is Phase.RECEIVING and not self._paused and self._chatter < CHATTER:
            self._wait(self._timeouts.read)

    def _complete(self, receiver: Receiver, still_open: bool) -> None:
        reusable = self.keep and still_open and self._phase is Phase.RECEIVING
        self._receiver = None
        self._body = None
        self._out = b""
        self._served += 1
        if reusable:
            self._decoder.reset()
            self._phase = Phase.KEPT
            self._deadline.clear()
            self._paused = False
            self._watcher.watch(READ)
        else:
            self.close()
        receiver.completed(reusable)

    def pause(self) -> None:
        """Read no more for now: the client is slow and the spool is full."""
        self._paused = True
        if self._phase is Phase.RECEIVING:
            self._deadline.clear()
            self._watcher.watch(0)
        elif self._phase is Phase.SENDING:
            self._watcher.watch(WRITE)

    def resume(self) -> None:
        """Read on after `pause`."""
        self._paused = False
        if self._phase is Phase.RECEIVING:
            self._wait(self._timeouts.read)
            self._watcher.watch(READ)
        elif self._phase is Phase.SENDING:
            self._watcher.watch(READ | WRITE)

    # Going on in another way

    def end_body(self) -> None:
        """The body of a request that was asked without an end is over."""
        if self._socket is not None and not self._out:
            with contextlib.suppress(OSError):  # it may have answered and gone
                self._socket.send(self._wire.end)

    def half_close(self) -> bool:
        """Tell the application that the client is done sending; False: the request is not sent yet."""
        if self._phase in (Phase.CONNECTING, Phase.SENDING):
            return False
        if self._socket is not None:
            self.keep = False
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        return True

    def detach(self) -> Detached:
        """Give the socket away, in the middle of an answer."""
        sock, self._socket = self._socket, None
        assert sock is not None
        self._watcher.close()
        unsent = bytes(self._out)
        self._receiver = None
        self.close()
        timeouts = self._timeouts
        return Detached(sock, self._wire, self._decoder, unsent, timeouts.read, timeouts.write)

    # Ending

    def give_up(self, reason: str) -> None:
        """The request has taken too long as a whole: it fails with a timeout."""
        stage = _STAGES.get(self._phase, Stage.ANSWERING if self._answered else Stage.WAITING)
        self._fail(stage, None, reason=reason, timeout=True)

    def abandon(self) -> None:
        """Nobody wants the answer. It is read and dropped, so that the application is free again as soon as
        it can be.
        """
        self._receiver = None
        self._body = None
        if self._phase in (Phase.CONNECTING, Phase.SENDING):
            # Half a request is worth nothing to the application: it sees the end of the connection.
            self.close()
            self._owner.discarded(self, False)
            return
        self._phase = Phase.DISCARDING
        self._discarded = 0
        self._paused = False
        self._wait(self._timeouts.discard)
        self._watcher.watch(READ)

    def _discard(self, octets: int) -> None:
        self._discarded += octets
        self._decoder.stdout.clear()
        self._decoder.stderr.clear()
        if self._decoder.ended or not octets:
            ended = self._decoder.ended
            self.close()
            self._owner.discarded(self, ended)
        elif self._discarded > DISCARD_OCTETS:
            self.close()
            self._owner.discarded(self, False)

    def _ended_by(self, error: OSError | None) -> None:
        """The connection ended before the answer did."""
        if self._phase is Phase.DISCARDING:
            self.close()
            self._owner.discarded(self, False)
        elif self._answered:
            self._fail(Stage.ANSWERING, error, reason="the connection was closed in the middle of the answer")
        elif self._phase is Phase.SENDING:
            self._fail(Stage.SENDING, error, reason="the connection was closed while the request was sent")
        else:
            self._fail(Stage.WAITING, error, reason="the connection was closed without an answer")

    def _fail(self, stage: Stage, error: OSError | None, *, reason: str = "", timeout: bool = False) -> None:
        receiver, self._receiver = self._receiver, None
        accepted, answered, reused = self._accepted, self._answered, self._served > 0
        discarding = self._phase is Phase.DISCARDING
        local = "" if answered or reused else self._local_address()
        self.close()
        if discarding:
            self._owner.discarded(self, False)
            return
        if error is not None and error.strerror:
            reason = f"{reason}: {error.strerror}" if reason else error.strerror
        number = (error.errno or 0) if error is not None else 0
        if receiver is not None:
            receiver.broken(Failure(stage, reason, number, timeout, accepted, answered, reused, local))

    @guarded
    def on_deadline(self) -> None:
        """A wait has become too long."""
        stage = _STAGES.get(self._phase, Stage.ANSWERING if self._answered else Stage.WAITING)
        self._fail(stage, None, reason=f"no progress while {stage.value}", timeout=True)

    def failed(self, trace: str) -> None:
        """A callback raised (the guard tells): this request fails, the slot is not lost."""
        self._owner.complain(trace)
        kept = self._phase is Phase.KEPT
        self._fail(Stage.ANSWERING if self._answered else Stage.WAITING, None, reason="an internal error")
        if kept:
            self._owner.lost(self)
