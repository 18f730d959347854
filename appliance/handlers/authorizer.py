"""Authorizers (FastCGI 1.0 section 6.3): applications that say whether a request may go on.

    200              allowed: its fields `Variable-NAME` become variables of the applications that follow
    any other answer is the client's: a page with 403, a redirect to a login
    no answer        nobody is let in: 502, 503 or 504, as with any application

They are searched before responders, at the same two points: by URL, and by file. One that takes a path by its
file (check-local) is asked before anything else takes that path by its URL. A request meets one of them at
most; what answers it afterwards is a `Site` without them, whose document root is the authorizer's docroot if
it has one. It is asked before the request's body is received and never sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from appliance.config import PoolDefinition, Settings
from appliance.gateway.answer import AnswerHead
from appliance.gateway.environment import Split
from appliance.gateway.errors import ProtocolError
from appliance.gateway.records import AUTHORIZER
from appliance.handlers.call import Call
from appliance.handlers.chain import Site, Transaction
from appliance.handlers.exchange import PENDING, Exchange, Handler, Outcome
from appliance.handlers.hosts import Host, Route
from appliance.handlers.physical import Kind
from appliance.handlers.rules import Rule, rules, split_found
from appliance.handlers.scope import Scope, Services
from appliance.handlers.tracing import TracedCall
from appliance.http.response import Header

MOST_VARIABLES = 100
LONGEST_VARIABLES = 16384  # octets of all names and values

_PREFIX = b"variable-"
_THERE = (Kind.FILE, Kind.DIRECTORY)
# They describe the body that the application is about to get: nobody else may.
_OURS = frozenset(("CONTENT_LENGTH", "TRANSFER_ENCODING"))


class Authorization(Call):
    """One request to an authorizer."""

    __slots__ = ("_allowed", "_remainders")

    role = AUTHORIZER

    def __init__(
        self,
        exchange: Exchange,
        scope: Scope,
        host: Host,
        split: Split,
        route: Route | None,
        remainders: Mapping[str | None, Site],
    ) -> None:
        """`remainders`: what follows, by the docroot of the host."""
        super().__init__(exchange, scope, host, split, route)
        self._remainders = remainders
        self._allowed = False

    @property
    def follows(self) -> Site:
        """What answers a request that was let in."""
        return self._remainders[self._host.definition.docroot]

    def begin(self) -> Outcome:
        """Without the body: who is not allowed in need not send it."""
        self._ask(None)
        return PENDING

    def _begin_answer(self, head: AnswerHead) -> None:
        super()._begin_answer(head)
        self._allowed = head.status == 200

    def _take(self, data: bytes) -> None:
        if not self._allowed:
            super()._take(data)

    def _finish(self, head: AnswerHead) -> None:
        if not self._allowed:
            super()._finish(head)
            return
        try:
            found = variables(head.headers)
        except ProtocolError as error:
            self._broken_answer(str(error))
            return
        exchange = self._exchange
        assert isinstance(exchange, Transaction)
        exchange.on_gone = None
        exchange.environment.update(found)
        exchange.continue_with(self.follows)


class _TracedAuthorization(TracedCall, Authorization):
    """The same, told in detail."""

    __slots__ = ()


def variables(headers: Sequence[Header]) -> dict[str, str]:
    """The variables in the head of an authorizer's answer; repeated ones are joined as header fields are.

    Raises ProtocolError beyond the limits: an application that misses one might take it for a "no".
    """
    found: dict[str, str] = {}
    size = 0
    for name, value in headers:
        if name[:9].lower() != _PREFIX:
            continue
        size += len(name) + len(value)
        variable = name[9:].decode("latin-1").upper().replace("-", "_")
        if not variable or variable in _OURS:
            continue
        text = value.decode("utf-8", "surrogateescape")
        found[variable] = f"{found[variable]}, {text}" if found.get(variable) else text
        if len(found) > MOST_VARIABLES or size > LONGEST_VARIABLES:
            raise ProtocolError(
                f"the authorizer sent more than {MOST_VARIABLES} variables or {LONGEST_VARIABLES} octets of"
                " them (Variable-NAME)"
            )
    return found


def build(
    settings: Settings,
    services: Services,
    absent: Sequence[Handler | None],
    remainder: Callable[[str | None], Site],
) -> tuple[Handler | None, Handler | None]:
    """The authorizers of one scope: by URL, and by file.

    `absent` answer for a path where no file is; `remainder` makes what follows, for a docroot or for None.
    """
    found = tuple(rules(settings, services, "authorizer"))
    if not found:
        return None, None
    traced = {rule for rule in found if rule.is_traced(settings)}
    scope = Scope(settings, services)
    docroots = {definition.docroot for rule in found for definition in rule.definitions}
    remainders = {docroot: remainder(docroot) for docroot in docroots}

    def begin(exchange: Exchange, rule: Rule, split: Callable[[PoolDefinition], Split]) -> Outcome:
        host = rule.hosts.sole
        route = None
        if host is None:
            host = rule.hosts.hosts[0]
            route = Route(rule.hosts, exchange.request, split)
        kind = _TracedAuthorization if rule in traced else Authorization
        return kind(exchange, scope, host, split(host.definition), route, remainders).begin()

    def by_url(exchange: Exchange) -> Outcome:
        path = exchange.request.path
        for rule in found:
            if not rule.takes(path):
                continue
            if rule.by_url:
                return begin(exchange, rule, partial(rule.split, path=path, root=scope.root))
            at = scope.resolver.find(path)
            if at.kind in _THERE:
                return begin(exchange, rule, partial(split_found, found=at))
            for handler in absent:
                if handler is not None and (outcome := handler(exchange)) is not None:
                    return outcome
        return None

    def by_file(exchange: Exchange) -> Outcome:
        at = scope.resolver.find(exchange.request.path)
        if at.kind in _THERE:
            for rule in found:
                if rule.takes(at.url_path):
                    return begin(exchange, rule, partial(split_found, found=at))
        return None

    return by_url, by_file
