"""From a request to its answer: the handlers of the settings that apply, in their fixed order, until one
answers.

    rewrite → redirect → setenv → access → auth → status → gateway (by URL) → physical path
    → rewrite (no file) → gateway (by file) → static

At each of the two gateways authorizers come before responders. It is lighttpd's order, except that
authentication always comes before applications, whatever order modules are named in. A `Site` is compiled
once for each distinct set of settings; a scope without an option costs nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.config import Settings
from appliance.handlers.exchange import AGAIN, PENDING, Handler
from appliance.http.connection import Connection
from appliance.http.handover import Handover
from appliance.http.request import Request
from appliance.http.response import Header, Response, error_response
from appliance.http.spool import Spool

if TYPE_CHECKING:
    from appliance.front.services import Services


class Site:
    """The handlers of one set of settings."""

    __slots__ = ("access_log", "body_limit", "edit", "handlers", "settings")

    def __init__(
        self,
        settings: Settings,
        handlers: tuple[Handler, ...],
        access_log: str | None,
        edit: Callable[[Response], None] | None = None,
    ) -> None:
        """`edit` changes the header fields of every answer."""
        self.settings = settings
        self.edit = edit
        self.handlers = handlers
        self.access_log = access_log  # accesslog.filename; None: requests of this site are not logged
        self.body_limit = settings.integer("server.max-request-size") * 1024  # the option counts KiB; 0: any


class Transaction:
    """One request on its way: the `Exchange` of its handlers, the `Transaction` of its connection."""

    __slots__ = (
        "_answered",
        "_body",
        "_connection",
        "_handlers",
        "_services",
        "_site",
        "engaged",
        "environment",
        "on_gone",
        "request",
        "settings",
    )

    def __init__(self, services: Services, site: Site, connection: Connection, request: Request) -> None:
        self._services = services
        self._site = site
        self._connection = connection
        self._handlers = iter(site.handlers)  # those that were not asked yet
        self._answered = False
        self.engaged = False  # an application has taken it
        self._body: Spool | None = None
        self.request = request
        self.settings = site.settings
        self.environment: dict[str, str] = {}
        self.on_gone: Callable[[], None] | None = None

    @property
    def is_answered(self) -> bool:
        """There is an answer, or nobody to answer any more."""
        return self._answered

    # The connection's side

    def start(self) -> None:
        """Ask the handlers in turn, from where the last one left off."""
        for handler in self._handlers:
            outcome = handler(self)
            if outcome is None:
                continue
            if outcome is AGAIN:
                site = self._site = self._services.sites.site(self.request)
                self.settings = site.settings
                self._handlers = iter(site.handlers)
                self.start()  # a call within a call, as often as `rewrite` allows
            elif outcome is not PENDING:
                self.respond(outcome)
            return
        self.respond(error_response(404, "There is nothing at this address."))

    def gone(self) -> None:
        """The client vanished."""
        self._answered = True
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None:
            on_gone()

    def finished(self, status: int, octets: int) -> None:
        """The answer is out."""
        if self._body is not None:
            self._body.close()
            self._body = None
        site = self._site
        if site.access_log is not None:
            self._services.access.write(site.access_log, self.request, self.environment, status, octets)

    # The handlers' side

    def respond(self, response: Response) -> None:
        """Answer; a client that has gone meanwhile is no error."""
        if self._answered:
            response.discard()
            return
        self._answered = True
        edit = self._site.edit
        if edit is not None:
            edit(response)
        self._connection.answer(response)

    def proceed(self) -> None:
        """Ask the next handler, after PENDING."""
        if not self._answered:
            self.start()

    def continue_with(self, site: Site) -> None:
        """Ask the handlers of another site, after PENDING."""
        self._site = site
        self.settings = site.settings
        self._handlers = iter(site.handlers)
        self.proceed()

    def receive_body(self, done: Callable[[Spool], None]) -> None:
        """The whole body, within server.max-request-size."""

        def received(spool: Spool) -> None:
            self.engaged = True
            self._body = spool
            done(spool)

        self._connection.receive_body(self._site.body_limit, received)

    def hand_over(self, headers: list[Header], protocol: bytes) -> Handover | None:
        """Answer with 101 and take the client's socket; None if it is too late for that."""
        if self._answered:
            return None
        handover = self._connection.hand_over(headers, protocol)
        self._answered = handover is not None
        return handover

    def hand_back(self) -> None:
        """What `hand_over` gave is not needed any more."""
        self._connection.handed_back()

    def tell_half_close(self, callback: Callable[[], None]) -> None:
        """Have `callback` called if the client is done sending and still wants its answer."""
        self._connection.on_half_close = (self, callback)

    def interim(self, status: int, headers: list[Header]) -> None:
        """A 1xx response ahead of the answer."""
        if not self._answered:
            self._connection.interim(status, headers)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` after `seconds`; returns what cancels it."""
        return self._services.loop.call_later(seconds, callback).cancel
