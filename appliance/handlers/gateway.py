"""Which request is for an application: the rules of `fastcgi.server` and `scgi.server`.

They are asked at two points, as in lighttpd: by URL for hosts with check-local = disable, by file (after the
physical path is known) for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from appliance.config import PoolDefinition, Settings
from appliance.gateway.environment import Split
from appliance.handlers.call import Call
from appliance.handlers.duplex import DuplexCall
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.handlers.hosts import Route
from appliance.handlers.physical import Kind
from appliance.handlers.rules import Rule, rules, split_found
from appliance.handlers.scope import Scope, Services
from appliance.handlers.tracing import TracedCall

Candidates: TypeAlias = tuple[tuple[Rule, type[Call]], ...]


def build(settings: Settings, services: Services) -> tuple[Handler | None, Handler | None]:
    """The handlers of one scope: by URL, and by file."""
    found = tuple(rules(settings, services, "responder"))
    by_url = tuple(rule for rule in found if rule.by_url)
    by_file = tuple(rule for rule in found if not rule.by_url)
    scope = Scope(settings, services)
    return _by_url(_calls(by_url, settings), scope), _by_file(_calls(by_file, settings), scope)


def build_by_file(settings: Settings, services: Services) -> Handler | None:
    """The handler of a scope in which URLs are not asked: every host is found by file, as if check-local were
    enabled.
    """
    found = tuple(rules(settings, services, "responder"))
    return _by_file(_calls(found, settings), Scope(settings, services))


class _TracedDuplexCall(TracedCall, DuplexCall):
    __slots__ = ()

    def application_over(self, complete: bool) -> None:
        """The slot is free."""
        self._release()
        super().application_over(complete)


_KINDS: dict[tuple[bool, bool], type[Call]] = {
    (False, False): Call,
    (True, False): TracedCall,
    (False, True): DuplexCall,
    (True, True): _TracedDuplexCall,
}


def _calls(found: Sequence[Rule], settings: Settings) -> Candidates:
    """The rules with what their requests become."""
    return tuple((rule, _KINDS[rule.is_traced(settings), rule.is_duplex]) for rule in found)


def _by_url(candidates: Candidates, scope: Scope) -> Handler | None:
    if not candidates:
        return None

    def handle(exchange: Exchange) -> Outcome:
        path = exchange.request.path
        for rule, call in candidates:
            if rule.takes(path):
                host = rule.hosts.sole
                if host is not None:
                    return call(exchange, scope, host, rule.split(host.definition, path, scope.root)).begin()
                return _begin(call, exchange, scope, rule, partial(rule.split, path=path, root=scope.root))
        return None

    return handle


def _begin(
    call: type[Call],
    exchange: Exchange,
    scope: Scope,
    rule: Rule,
    split: Callable[[PoolDefinition], Split],
) -> Outcome:
    """A request for one of several hosts; the first stands for all until the choice is made."""
    first = rule.hosts.hosts[0]
    route = Route(rule.hosts, exchange.request, split)
    return call(exchange, scope, first, split(first.definition), route).begin()


def _by_file(candidates: Candidates, scope: Scope) -> Handler | None:
    if not candidates:
        return None
    needles = tuple(rule.needle for rule, _ in candidates)

    def handle(exchange: Exchange) -> Outcome:
        path = exchange.request.path
        # A cheap no for most files: only an index file can bring in a key that the URL does not have.
        if not path.endswith("/"):
            for needle in needles:
                if needle in path:
                    break
            else:
                return None
        found = scope.resolver.find(path)
        if found.kind is not Kind.FILE:
            return None
        for rule, call in candidates:
            if rule.takes(found.url_path):
                host = rule.hosts.sole
                if host is not None:
                    return call(exchange, scope, host, split_found(host.definition, found)).begin()
                return _begin(call, exchange, scope, rule, partial(split_found, found=found))
        return None

    return handle
