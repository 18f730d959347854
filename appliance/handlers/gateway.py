"""Which request is for an application: the rules of `fastcgi.server` and `scgi.server`.

They are asked at two points, as in lighttpd: by URL for hosts with check-local = disable, by file (after the
physical path is known) for the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.config import Settings
from appliance.gateway.environment import split_physical
from appliance.handlers.call import Call, Scope, Services
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.handlers.physical import Kind
from appliance.handlers.rules import Rule, rules


def build(settings: Settings, services: Services) -> tuple[Handler | None, Handler | None]:
    """The handlers of one scope: by URL, and by file."""
    found = tuple(rules(settings, services))
    by_url = tuple(rule for rule in found if rule.by_url)
    by_file = tuple(rule for rule in found if not rule.by_url)
    scope = Scope(settings, services)
    return _by_url(by_url, scope), _by_file(by_file, scope)


def _by_url(candidates: Sequence[Rule], scope: Scope) -> Handler | None:
    if not candidates:
        return None

    def handle(exchange: Exchange) -> Outcome:
        path = exchange.request.path
        for rule in candidates:
            if rule.takes(path):
                host = rule.host()
                return Call(exchange, scope, host, rule.split(host.definition, path, scope.root)).begin()
        return None

    return handle


def _by_file(candidates: Sequence[Rule], scope: Scope) -> Handler | None:
    if not candidates:
        return None
    needles = tuple(rule.needle for rule in candidates)

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
        for rule in candidates:
            if rule.takes(found.url_path):
                host = rule.host()
                split = split_physical(
                    host.definition, found.url_path, found.path_info, found.path, found.root
                )
                return Call(exchange, scope, host, split).begin()
        return None

    return handle
