"""url.redirect: the first expression that fits path and query sends the client elsewhere.

What a target may say stands in `substitution`. An empty one means: no redirect here, and no later expression
either.
"""

from __future__ import annotations

from appliance.config import Settings
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.handlers.substitution import compiled
from appliance.http.response import Response
from appliance.http.target import normalized


def build(settings: Settings, services: object) -> Handler | None:
    """The handler of one scope; None if nothing is redirected there."""
    rules = compiled(settings.url_rules("url.redirect"))
    if not rules:
        return None
    code = settings.integer("url.redirect-code")

    def redirect(exchange: Exchange) -> Outcome:
        request = exchange.request
        subject = normalized(request.path, request.query)
        for pattern, template in rules:
            match = pattern.search(subject)
            if match is not None:
                if template is None:
                    return None
                return Response(code, [(b"Location", template.expand(match, request).encode("ascii"))])
        return None

    return redirect
