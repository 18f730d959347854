"""mod_setenv: variables for applications, and header fields of answers.

As in lighttpd the fields are set on whatever answers a request, a file, an application or an error page of
ours, and an empty value takes a field away. A request that could not even be read gets none: it has no scope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.config import Settings
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.http.response import Header, Response

if TYPE_CHECKING:
    from appliance.front.services import Services


def build(settings: Settings, services: Services) -> Handler | None:
    """The handler that adds the variables of a scope; it never answers."""
    variables = dict(settings.pairs("setenv.add-environment"))
    if not variables:
        return None

    def handle(exchange: Exchange) -> Outcome:
        exchange.environment.update(variables)
        return None

    return handle


def editing(settings: Settings) -> Callable[[Response], None] | None:
    """What changes the fields of every answer of a scope, None if nothing does."""
    added = _encoded(settings.pairs("setenv.add-response-header"))
    placed = _encoded(settings.pairs("setenv.set-response-header"))
    if not added and not placed:
        return None
    replaced = frozenset(name.lower() for name, _ in placed)
    # What is set replaces what is added, too; an added field without a value is none.
    more = [(name, value) for name, value in added if value and name.lower() not in replaced]
    more += [(name, value) for name, value in placed if value]

    def edit(response: Response) -> None:
        # A new list: an answer that is given again and again shares its own with others.
        response.headers = [header for header in response.headers if header[0].lower() not in replaced] + more

    return edit


def _encoded(pairs: tuple[tuple[str, str], ...]) -> list[Header]:
    return [(name.encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in pairs]
