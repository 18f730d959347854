"""One request to an application: from a slot of its pool to the answer for the client.

The rules are the product's: nothing runs twice, a truncated answer is never passed off as complete, and an
error says who failed.
"""

from __future__ import annotations

from appliance.gateway.answer import AnswerHead, HeadParser
from appliance.gateway.chunks import Decoder as ChunkDecoder
from appliance.gateway.environment import Split
from appliance.gateway.errors import ProtocolError, RequestRefused
from appliance.gateway.failure import Failure, Stage
from appliance.gateway.records import RESPONDER
from appliance.gateway.upstream import Upstream
from appliance.handlers import waiting
from appliance.handlers.causes import explain
from appliance.handlers.exchange import PENDING, Exchange, Outcome
from appliance.handlers.hosts import Host, Route
from appliance.handlers.relay import Relay
from appliance.handlers.scope import Scope
from appliance.handlers.sendfile import Sending
from appliance.http.response import UNKNOWN, Header, Response, error_response
from appliance.http.spool import Spool
from appliance.pool.pool import Slot
from appliance.pool.retry import ATTEMPTS, counted, is_unchanging, may_retry

STDERR_LINE = 8192
STDERR = 1 << 18  # octets of an application's error stream that are logged for one request


class Call:
    """One request to an application, from the client's body to the client's answer."""

    __slots__ = (
        "_body",
        "_chunks",
        "_complained",
        "_complaint",
        "_exchange",
        "_head",
        "_held",
        "_held_octets",
        "_host",
        "_parameters",
        "_parser",
        "_process",
        "_relay",
        "_retries",
        "_route",
        "_scope",
        "_slot",
        "_split",
        "_upstream",
    )

    role = RESPONDER

    def __init__(
        self, exchange: Exchange, scope: Scope, host: Host, split: Split, route: Route | None = None
    ) -> None:
        self._exchange = exchange
        self._scope = scope
        self._host = host
        self._split = split
        self._route = route  # where there are several hosts
        self._body: Spool | None = None
        self._parameters = b""
        self._slot: Slot | None = None
        self._process = host.definition.name  # for the log: the pool, and the process once there is one
        self._upstream: Upstream | None = None
        self._retries = 0
        self._parser = HeadParser(host.definition.x_sendfile, host.definition.protocol)
        self._head: AnswerHead | None = None
        self._chunks: ChunkDecoder | None = None
        self._held: list[bytes] = []
        self._held_octets = 0
        self._relay: Relay | None = None
        self._complaint = b""
        self._complained = 0  # octets of the error stream so far

    @property
    def parameters(self) -> bytes:
        """Name-value pairs as they are sent, once a host was asked."""
        return self._parameters

    # The request

    def begin(self) -> Outcome:
        """First the whole body, so that a slow client never holds an application."""
        self._exchange.receive_body(self._ask)
        return PENDING

    def _ask(self, body: Spool | None) -> None:
        self._body = body
        if self._route is not None:
            self._elsewhere()
        else:
            self._enter()

    def _enter(self) -> None:
        """Ask the host for a slot."""
        exchange, body = self._exchange, self._body
        try:
            self._parameters = self._host.parameters.encode(
                exchange.request, self._split, exchange.environment, 0 if body is None else body.size
            )
        except RequestRefused as refused:
            self._scope.services.log.info(f"{self.asked()} refused with {refused.status}: {refused.reason}")
            exchange.respond(error_response(refused.status, refused.reason))
            return
        exchange.on_gone = self._client_gone
        desk = self._host.desk
        desk.enter(self)
        if desk.waiting_page is not None and desk.is_starting and waiting.is_for(exchange.request):
            exchange.call_later(waiting.PATIENCE, self._still_waiting)

    def _still_waiting(self) -> None:
        """A browser has waited for a while: if it is for a start, it gets a page that comes again."""
        desk, slot = self._host.desk, self._slot
        if desk.waiting_page is None or not desk.is_starting or self._head is not None:
            return
        if slot is not None:
            # A program that loads has the request already; it is as if the client had left.
            self._slot = self._upstream = None
            desk.abandon(slot)
        elif not desk.leave(self):
            return
        self._exchange.respond(desk.waiting_page.response())

    def _elsewhere(self) -> bool:
        """Ask the host whose turn it is, after a failure another one; False if there is none."""
        found = self._route.next() if self._route is not None else None
        if found is None:
            return False
        self._host, self._split = found
        self._process = self._host.definition.name
        self._parser = HeadParser(self._host.definition.x_sendfile, self._host.definition.protocol)
        self._enter()
        return True

    def granted(self, slot: Slot) -> None:
        """Our turn."""
        self._slot = slot
        self._process = slot.process.name
        desk = self._host.desk
        if self._retries or (desk.wary and not is_unchanging(self._exchange.request.method)):
            desk.renew(slot)
        self._upstream = self._connection(slot)
        if self._route is not None:
            self._upstream.patient = not self._route.has_more
        self._upstream.ask(self, self._parameters, self._body, self.role)

    def _connection(self, slot: Slot) -> Upstream:
        return self._host.desk.connection(slot)

    def expired(self) -> None:
        """We waited for queue-timeout."""
        limit = self._host.definition.queue_timeout
        self._unavailable(f"no process was free within {limit} s (queue-timeout)")

    def refused(self, reason: str) -> None:
        """We may not even wait."""
        if not self._elsewhere():
            self._unavailable(reason)

    def _unavailable(self, reason: str) -> None:
        self._fail(503, reason, "The application is busy. Try again in a moment.", [(b"Retry-After", b"5")])

    # The answer

    def received(self, pieces: list[bytes]) -> None:
        """More of the answer."""
        try:
            for piece in pieces:
                if self._head is None:
                    head = self._parser.feed(piece)
                    for interim in self._parser.interim:
                        self._exchange.interim(interim.status, interim.headers)
                    self._parser.interim.clear()
                    if head is None:
                        continue
                    self._begin_answer(head)
                    piece = self._parser.rest
                if piece:
                    self._take(piece)
        except ProtocolError as error:
            self._broken_answer(str(error))

    def _begin_answer(self, head: AnswerHead) -> None:
        self._head = head
        for note in self._parser.notes:
            self._scope.services.log.warning(f"{self._process}: {note}")
        if head.chunked and head.sendfile is None and self._exchange.request.method != "HEAD":
            self._chunks = ChunkDecoder()

    def _take(self, data: bytes) -> None:
        head = self._head
        assert head is not None
        if head.sendfile is not None or self._exchange.request.method == "HEAD":
            return
        for piece in self._chunks.feed(data) if self._chunks is not None else (data,):
            if self._relay is not None:
                self._relay.feed(piece)
                continue
            self._held.append(piece)
            self._held_octets += len(piece)
        if self._relay is None and (self._held_octets > self._scope.hold or (head.streaming and self._held)):
            self._stream(head)

    def _stream(self, head: AnswerHead) -> None:
        """Too much to hold back, or not to be held back: it goes out as it comes."""
        relay = self._relay = Relay(
            self, self._scope.services.spool(), head.content_length, self._scope.spooled
        )
        self._exchange.on_gone = None  # from now on the relay is told
        for piece in self._held:
            relay.feed(piece)
        self._held.clear()
        self._exchange.respond(Response(head.status, head.headers, relay, close=head.close))

    def complained(self, pieces: list[bytes]) -> None:
        """Octets of the application's error stream: each line is logged with the request it belongs to."""
        if self._complained > STDERR:
            return
        self._complained += sum(map(len, pieces))
        *lines, rest = (self._complaint + b"".join(pieces)).split(b"\n")
        if len(rest) > STDERR_LINE:
            lines.append(rest)
            rest = b""
        self._complaint = rest
        for line in lines:
            self._log_complaint(line)
        if self._complained > STDERR:
            self._complaint = b""
            self._scope.services.log.warning(
                f"{self._process}: {self.asked()}: what else it writes to its error stream for this request"
                f" is not logged, it was more than {STDERR >> 10} KiB"
            )

    def _log_complaint(self, line: bytes) -> None:
        text = line[:STDERR_LINE].decode("utf-8", "backslashreplace").rstrip()
        if text:
            self._scope.services.log.warning(f"{self._process}: {self.asked()}: {text}")

    def completed(self, reusable: bool) -> None:
        """The application has said everything."""
        self._give_back(reusable)
        if self._complaint:
            self._log_complaint(self._complaint)
        head = self._head
        if head is None:
            self._fail(502, "it ended the request without an answer", "The application gave no answer.")
        else:
            self._finish(head)

    def _finish(self, head: AnswerHead) -> None:
        """The answer has come to its end."""
        if self._chunks is not None and not self._chunks.ended:
            self._broken_answer("the last chunk of its answer is missing")
        elif self._relay is not None:
            self._relay.finish()
        elif head.sendfile is not None:
            sending = Sending(
                self._host.definition,
                self._scope.services.files,
                follow_links=self._scope.follow_links,
                chroot=self._scope.chroot,
            )
            self._exchange.respond(sending.answer(self._exchange.request, head, self._object))
        else:
            self._answer(head)

    def _answer(self, head: AnswerHead) -> None:
        """The whole answer is here: its length is known."""
        body = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        length = head.content_length
        if self._exchange.request.method == "HEAD":
            told = UNKNOWN if length is None else length
            self._exchange.respond(Response(head.status, head.headers, b"", close=head.close, length=told))
            return
        if length is not None and len(body) != length and head.status not in (204, 304):
            if len(body) < length:
                self._broken_answer(f"its answer has {len(body)} octets, it announced {length}")
                return
            body = body[:length]
        self._exchange.respond(Response(head.status, head.headers, body, close=head.close))

    # What can go wrong

    def broken(self, failure: Failure) -> None:
        """The connection failed."""
        connecting = failure.stage is Stage.CONNECTING
        slot, self._slot, self._upstream = self._slot, None, None
        if slot is not None:
            self._host.desk.broke(slot, failure)
        attempts = 1 if self._route is None else ATTEMPTS
        if may_retry(failure, self._exchange.request.method, self._retries, attempts):
            self._retries = counted(failure, self._retries)
            self._scope.services.log.info(f"{self._process}: {self.asked()} goes out again: {failure.reason}")
            if not connecting or not self._elsewhere():
                self._host.desk.enter(self)
            return
        reason = f"{failure.stage.value}: {failure.reason}"
        if failure.timeout:
            self._fail(504, reason, "The application took too long.")
        elif connecting:
            self._fail(503, reason, "The application cannot be reached.", [(b"Retry-After", b"5")])
        else:
            reason += explain(failure, self._host.desk.address)
            self._fail(502, reason, "The application failed while it worked on your request.")

    def _broken_answer(self, reason: str) -> None:
        """The application is at fault: its connection is of no further use."""
        slot, upstream = self._slot, self._upstream
        self._slot = self._upstream = None
        if upstream is not None:
            upstream.close()
        if slot is not None:
            self._host.desk.broke(slot, None)
        self._fail(502, reason, "The application gave an answer that makes no sense.")

    def _fail(self, status: int, reason: str, text: str, headers: list[Header] | None = None) -> None:
        log = self._scope.services.log
        if self._relay is not None:
            log.error(f"{self._process}: {self.asked()} was cut in the middle of its answer: {reason}")
            self._relay.fail()
            return
        log.error(f"{self._process}: {self.asked()} answered with {status}: {reason}")
        self._exchange.respond(error_response(status, text, headers))

    def _client_gone(self) -> None:
        """The client left before there was an answer."""
        slot, self._slot, self._upstream = self._slot, None, None
        if slot is None:
            self._host.desk.leave(self)
        else:
            self._host.desk.abandon(slot)

    def _give_back(self, reusable: bool) -> None:
        slot, self._slot, self._upstream = self._slot, None, None
        if slot is not None:
            self._host.desk.release(slot, reusable)

    # The relay's source

    def pause(self) -> None:
        """The client is slow, and enough is spooled for it."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._upstream is not None:
            self._upstream.resume()

    def unwanted(self) -> None:
        """The client left in the middle of the answer."""
        self._client_gone()

    def _object(self, text: str) -> None:
        self._scope.services.log.error(f"{self._process}: {self.asked()}: {text}")

    def asked(self) -> str:
        """Method and target, for the log."""
        return self._exchange.request.shown
