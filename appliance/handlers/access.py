"""url.access-deny: no answer for a URL path that ends like this, whether or not something is there.

A suffix is compared with case, as in lighttpd, and an empty one denies everything. The same suffixes are
compared with the file that a path leads to in `physical`, so an index file or a script followed by PATH_INFO
is no way around.
"""

from __future__ import annotations

from appliance.config import Settings
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.http.response import Response, error_response

EXPLANATION = "You may not see this."


def build(settings: Settings, services: object) -> Handler | None:
    """The handler of one scope; None if nothing is denied there."""
    suffixes = settings.strings("url.access-deny")
    if not suffixes:
        return None

    def access(exchange: Exchange) -> Outcome:
        return denied() if exchange.request.path.endswith(suffixes) else None

    return access


def denied() -> Response:
    """The answer to a request for something that is not for this visitor."""
    return error_response(403, EXPLANATION)
