"""url.rewrite-…: path and query become others inside of the server, before anything else looks at them.

As in lighttpd the first expression that fits decides, whether it belongs to a list that is tried once or to
one that is repeated; conditions are tried again with the new path; what the client sent stays in REQUEST_URI.
A list for what is no file is asked after applications that need no file, and before those that do. A rule of
a list that is tried once ends all rewriting of the request.
"""

from __future__ import annotations

from typing import Protocol

from appliance.config import Settings
from appliance.handlers import physical
from appliance.handlers.exchange import AGAIN, Exchange, Handler, Log, Outcome
from appliance.handlers.physical import Kind, Resolver
from appliance.handlers.substitution import compiled
from appliance.http.files import FileCache
from appliance.http.request import Request, Rewritten
from appliance.http.response import Response, error_response
from appliance.http.target import BadTarget, normalized, parse_target

MOST_REWRITES = 100  # of one request; lighttpd's limit

_ONCE = ("url.rewrite-once", "url.rewrite-final", "url.rewrite")


class Services(Protocol):
    """What rewriting needs of the front."""

    @property
    def log(self) -> Log: ...

    @property
    def files(self) -> FileCache: ...


def build(settings: Settings, services: Services) -> tuple[Handler | None, Handler | None]:
    """The handlers of one scope: of every path, and of those that are no file."""
    missing = _handler(settings, services, ("url.rewrite-if-not-file",), "url.rewrite-repeat-if-not-file")
    if missing is not None:
        missing = _where_no_file_is(missing, physical.build(settings, services))
    return _handler(settings, services, _ONCE, "url.rewrite-repeat"), missing


def _handler(settings: Settings, services: Services, once: tuple[str, ...], repeated: str) -> Handler | None:
    tried_once = compiled(tuple(rule for name in once for rule in settings.url_rules(name)))
    rules = (*tried_once, *compiled(settings.url_rules(repeated)))
    if not rules:
        return None
    first_repeated = len(tried_once)
    log = services.log

    def rewrite(exchange: Exchange) -> Outcome:
        request = exchange.request
        before = request.rewritten
        if (before is not None and before.finished) or not request.path.startswith("/"):
            return None
        subject = normalized(request.path, request.query)
        for number, (pattern, template) in enumerate(rules):
            match = pattern.search(subject)
            if match is None:
                continue
            if template is None:
                return None
            times = 1 if before is None else before.times + 1
            if times > MOST_REWRITES:
                end = f"url.rewrite-once, or a narrower expression than {pattern.pattern}, ends that"
                return _failed(log, request, f"{MOST_REWRITES} times, last to {subject}: {end}", 500)
            made = template.expand(match, request)
            if not made.startswith("/"):
                return _failed(log, request, f"to {made!r} by {pattern.pattern}: a path begins with /", 500)
            try:
                target = parse_target(made.encode("ascii"))
            except BadTarget as bad:
                return _failed(
                    log, request, f"to {made[:512]!r} by {pattern.pattern}: {bad.reason}", bad.status
                )
            request.path, request.query = target.path, target.query
            request.rewritten = Rewritten(made.encode("ascii"), times, number < first_repeated)
            return AGAIN
        return None

    return rewrite


def _failed(log: Log, request: Request, how: str, status: int) -> Response:
    log.error(f"{request.shown} answered with {status}: rewritten {how[:2048]}")
    return error_response(status)


def _where_no_file_is(rewrite: Handler, resolver: Resolver) -> Handler:
    """A directory, an index file and a script with PATH_INFO behind it are no file of this path."""

    def rewrite_missing(exchange: Exchange) -> Outcome:
        path = exchange.request.path
        found = resolver.find(path)
        if found.kind is Kind.REFUSED or (found.kind is Kind.FILE and found.url_path == path):
            return None
        return rewrite(exchange)

    return rewrite_missing
