"""Calls to hosts that have to do with the client's connection itself.

`upgrade`: a request that asks for another protocol (RFC 9110 section 7.8) is passed on with its Upgrade
field, and without an end of its body. An application that answers "Status: 101" with an Upgrade field gets a
`Tunnel`; any other answer is an ordinary one. Only HTTP/1.1 without a body can ask; HTTP/2 in the clear is
not asked for, because nobody behind a gateway speaks it.

`tcp-fin-propagate`: a client that is done sending (a half-closed connection) is not taken for one that left.
The application is told in the same way, once its request is complete.
"""

from __future__ import annotations

from typing import cast

from appliance.gateway.answer import AnswerHead
from appliance.gateway.environment import Split
from appliance.gateway.tunnel import Tunnel
from appliance.gateway.upstream import Upstream
from appliance.handlers.call import Call
from appliance.handlers.chain import Transaction
from appliance.handlers.exchange import Exchange
from appliance.handlers.hosts import Host, Route
from appliance.handlers.scope import Scope
from appliance.http.request import Request
from appliance.pool.pool import Slot

AGAIN_SECONDS = 0.1  # until an application that has not got its whole request is told of a half-close

_VARIABLE = "HTTP_UPGRADE"


class DuplexCall(Call):
    """See the module's text."""

    __slots__ = ("_protocol", "_tunnel", "_wanted")

    def __init__(
        self, exchange: Exchange, scope: Scope, host: Host, split: Split, route: Route | None = None
    ) -> None:
        super().__init__(exchange, scope, host, split, route)
        self._wanted = wanted_protocol(exchange.request)  # "": none
        self._protocol = ""  # the one that this host may change to
        self._tunnel: Tunnel | None = None

    @property
    def _transaction(self) -> Transaction:
        return cast("Transaction", self._exchange)

    def _enter(self) -> None:
        definition = self._host.definition
        environment = self._exchange.environment
        self._protocol = self._wanted if definition.upgrade else ""
        if self._protocol:
            environment[_VARIABLE] = self._protocol
        else:
            environment.pop(_VARIABLE, None)
        self._parser.may_switch = bool(self._protocol)
        if definition.tcp_fin_propagate:
            self._transaction.tell_half_close(self._half_closed)
        super()._enter()

    def _connection(self, slot: Slot) -> Upstream:
        upstream = super()._connection(slot)
        if self._protocol:
            upstream.ends = upstream.keep = False
        return upstream

    def _half_closed(self) -> None:
        """The client is done sending."""
        upstream, tunnel = self._upstream, self._tunnel
        if upstream is None and self._transaction.is_answered:
            return  # no application was told, and none is left to tell
        if tunnel is None and (upstream is None or not upstream.half_close()):
            self._exchange.call_later(AGAIN_SECONDS, self._half_closed)

    # The answer

    def received(self, pieces: list[bytes]) -> None:
        """More of the answer; where its head is a 101, the rest is of another protocol."""
        super().received(pieces)
        head = self._head
        if head is not None and head.status == 101 and self._tunnel is None:
            self._dig(head)

    def _begin_answer(self, head: AnswerHead) -> None:
        super()._begin_answer(head)
        if self._protocol and head.status != 101 and self._upstream is not None:
            self._upstream.end_body()

    def _take(self, data: bytes) -> None:
        if self._head is not None and self._head.status == 101:
            self._held.append(data)
        else:
            super()._take(data)

    def _dig(self, head: AnswerHead) -> None:
        upstream = self._upstream
        if upstream is None:
            return
        handover = self._transaction.hand_over(head.headers, head.upgrade)
        if handover is None:
            self._broken_answer("it changes the protocol for a client that cannot follow")
            return
        application = upstream.detach()
        tunnel = self._tunnel = Tunnel(
            self._scope.services.loop,
            handover,
            application,
            self,
            propagate_fin=self._host.definition.tcp_fin_propagate,
        )
        self._exchange.on_gone = self._cut
        early = b"".join(self._held)
        self._held.clear()
        tunnel.start(handover, application, early)

    # The tunnel's owner

    def _cut(self) -> None:
        """The connection ends from the client's side: this front leaves."""
        if self._tunnel is not None:
            self._tunnel.cut("the front leaves")

    def application_over(self, complete: bool) -> None:
        """The slot is free."""
        slot, upstream = self._slot, self._upstream
        self._slot = self._upstream = None
        if slot is not None and upstream is not None:
            self._host.desk.discarded(upstream, complete)
        if self._complaint:
            self._log_complaint(self._complaint)

    def tunnel_over(self, reason: str) -> None:
        """Both sides have ended."""
        if reason:
            self._scope.services.log.info(
                f"{self._process}: {self.asked()}, changed to {self._protocol}, was cut: {reason}"
            )
        self._exchange.on_gone = None
        self._transaction.hand_back()

    def complain(self, text: str) -> None:
        """An error of our own."""
        self._scope.services.log.error(text)


def wanted_protocol(request: Request) -> str:
    """The protocol that a request asks to change to, as it may be passed on; "" if none."""
    if request.version != "HTTP/1.1" or request.content_length != 0:
        return ""
    fields = request.fields
    protocol = fields.get("upgrade", "")
    if not protocol or "h2c" in protocol.lower():
        return ""
    options = [option.strip().lower() for option in fields.get("connection", "").split(",")]
    return protocol if "upgrade" in options else ""
