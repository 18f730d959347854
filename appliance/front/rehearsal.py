"""One request walked through the handlers of a configuration, without a server: what `fcgibox explain` tells.

The handlers are the real ones; what stands in for the rest of the front asks no application and checks no
password. Where a login or an authorizer would decide, the walk says so and goes on as if it had let the
request in. Files are looked up as they are now, with the rights of whoever asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from appliance.config import Configuration, GatewayRule, PoolDefinition
from appliance.front.services import Services
from appliance.front.sites import Sites
from appliance.gateway.failure import Failure
from appliance.gateway.records import decode_pairs
from appliance.gateway.upstream import Upstream
from appliance.handlers.authorizer import Authorization
from appliance.handlers.call import Call
from appliance.handlers.exchange import AGAIN, PENDING, Clock, Log
from appliance.handlers.scope import Desk, Dispatch, Group
from appliance.handlers.waiting import WaitingPage
from appliance.http.files import FileCache
from appliance.http.request import Request
from appliance.http.response import Header, Response, error_response
from appliance.http.spool import Spool
from appliance.passwords.store import PasswordStore
from appliance.passwords.throttle import Throttle
from appliance.pool.pool import Pool, Slot

USER = "USER"
"""Who the walk takes the visitor for after a login."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An application that gets the request: its parameters in order, as they would be sent."""

    definition: PoolDefinition
    parameters: list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Step:
    """What a handler made of the request: it says `text`, and perhaps asks an application or answers."""

    handler: str
    text: str = ""
    asked: Asked | None = None
    response: Response | None = None


class _Desk:
    """A host that is asked nothing, and remembers by whom it would have been."""

    wary = False
    waiting_page: WaitingPage | None = None
    is_starting = False

    def __init__(self, definition: PoolDefinition, calls: list[tuple[PoolDefinition, Call]]) -> None:
        self.definition = definition
        self.pool = Pool(definition, lambda process: None, lambda returned: None)
        self.address = (
            f"unix:{definition.socket}" if definition.socket else f"{definition.host}:{definition.port}"
        )
        self._calls = calls

    def enter(self, call: Call) -> None:
        self._calls.append((self.definition, call))

    def leave(self, call: Call) -> bool:
        return True

    def connection(self, slot: Slot) -> Upstream:
        raise AssertionError("nobody got a slot")

    def renew(self, slot: Slot) -> None:
        raise AssertionError("nobody got a slot")

    def release(self, slot: Slot, reusable: bool) -> None:
        raise AssertionError("nobody got a slot")

    def broke(self, slot: Slot, failure: Failure | None) -> None:
        raise AssertionError("nobody got a slot")

    def abandon(self, slot: Slot) -> None:
        raise AssertionError("nobody got a slot")

    def discarded(self, upstream: Upstream, complete: bool) -> None:
        raise AssertionError("nobody got a slot")


class _Group:
    changes = False

    def __init__(self, desk: _Desk) -> None:
        self.desks: Sequence[Desk] = (desk,)

    def tell(self, observer: Callable[[], None]) -> None:
        """It never changes."""


class _Front:
    """What the handlers need of a front (`front.services`), as far as it answers nobody."""

    def __init__(self, configuration: Configuration) -> None:
        self.clock: Clock = self
        self.log: Log = self
        self.files = FileCache(self)
        self.passwords = PasswordStore(self.error)
        self.throttle = Throttle()
        self.checker: Any = None
        self.dispatch: Dispatch = self  # its types are those that calls need, for mypy to compare
        self.calls: list[tuple[PoolDefinition, Call]] = []
        self._groups = {pool.name: _Group(_Desk(pool, self.calls)) for pool in configuration.pools()}
        self.said: list[str] = []

    def now(self) -> float:
        return time.monotonic()

    def error(self, text: str) -> None:
        self.said.append(text)

    debug = traced = info = warning = error

    def group(self, definition: PoolDefinition) -> Group:
        return self._groups[definition.name]

    def watch(self, rule: GatewayRule) -> None:
        """Nothing goes down here."""

    def spool(self) -> Spool:
        return Spool("/tmp")

    def describe(self) -> dict[str, Any]:
        return {
            "states": [],
            "idle": 0,
            "limit": 0,
            "requests": 0,
            "octets": 0,
            "uptime": 0.0,
            "pools": {},
        }

    def pools(self) -> Iterator[tuple[PoolDefinition, list[Pool]]]:
        return iter(())


class Rehearsal:
    """The `Exchange` of one request; `walk` says what became of it."""

    def __init__(self, configuration: Configuration, request: Request) -> None:
        self._front = _Front(configuration)
        services = cast(Services, self._front)
        self._sites = Sites(configuration.matcher(), services)
        self.request = request
        self.environment: dict[str, str] = {}
        self.on_gone: Callable[[], None] | None = None
        self.settings = self._sites.site(request).settings

    def walk(self) -> Iterator[Step]:
        """The handlers that have something to say, in their order; the last one answers."""
        handlers = iter(self._sites.site(self.request).handlers)
        while (handler := next(handlers, None)) is not None:
            name = handler.__module__.rpartition(".")[2]
            before = set(self.environment)
            outcome = handler(self)
            if outcome is AGAIN:
                site = self._sites.site(self.request)
                self.settings, handlers = site.settings, iter(site.handlers)
                yield Step(name, f"the path becomes {self.request.path}")
            elif outcome is PENDING:
                definition, call = self._front.calls[-1] if self._front.calls else (None, None)
                if call is None or definition is None:
                    return  # refused, which `respond` has heard
                asked = Asked(definition, decode_pairs(call.parameters))
                if not isinstance(call, Authorization):
                    yield Step(name, asked=asked)
                    return
                yield Step(name, "decides; if it lets the request in:", asked)
                handlers = iter(call.follows.handlers)
            elif isinstance(outcome, Response):
                if name != "auth":
                    yield Step(name, response=outcome)
                    return
                outcome.discard()
                self._front.said.clear()  # that nobody has read the password file is our doing
                self.environment |= {"REMOTE_USER": USER, "AUTH_TYPE": "Basic"}
                yield Step(name, f"asks for a login; after that, for somebody called {USER}:")
            elif added := set(self.environment) - before:
                yield Step(name, f"adds the variables {', '.join(sorted(added))}")
        yield Step("", "nothing is there", response=error_response(404))

    @property
    def said(self) -> list[str]:
        """What would be in the error log."""
        return self._front.said

    # Exchange

    def respond(self, response: Response) -> None:
        """A request that no application may get: said in the log, and that is what the walk tells."""
        response.discard()

    def proceed(self) -> None:
        """Nothing was ever pending."""

    def receive_body(self, done: Callable[[Spool], None]) -> None:
        """It has none."""
        done(self._front.spool())

    def interim(self, status: int, headers: list[Header]) -> None:
        """Nobody is there to hear it."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Nothing comes later."""
        return lambda: None
