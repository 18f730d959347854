"""The active check of a host: whether it answers, asked again and again (`check`, `check-interval`).

Either a request for a path, whose answer must have a status below 400, or FCGI_GET_VALUES, which runs
nothing. On a connection of its own each time; a process that we start is never asked, for a check would take
the place of a request there.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.config import PoolDefinition
from appliance.gateway.answer import HeadParser
from appliance.gateway.errors import ProtocolError
from appliance.gateway.failure import Failure
from appliance.gateway.parties import Timeouts
from appliance.gateway.records import pair
from appliance.gateway.upstream import Upstream
from appliance.gateway.values import GetValues
from appliance.gateway.wire import WIRES
from appliance.handlers.exchange import Log
from appliance.http.loop import Loop
from appliance.http.wheel import Timer

VALUES = "values"
LONGEST = 10.0  # seconds that an answer to a check may take
REFUSED = 400  # statuses from here on are no good answer


class Check:
    """Asks one host until `stop`, and tells `report` the result: "" or what is wrong."""

    def __init__(
        self, definition: PoolDefinition, address: str | tuple[str, int], loop: Loop, log: Log
    ) -> None:
        self._address = address
        self._loop = loop
        self._log = log
        self._interval = float(definition.check_interval)
        limit = min(self._interval, LONGEST)
        connect = min(limit, definition.connect_timeout or limit)
        self._timeouts = Timeouts(connect, limit, limit)
        self._wire = GetValues() if definition.check == VALUES else WIRES[definition.protocol]
        self._parameters = _parameters(definition)
        self._by_status = definition.check != VALUES
        self.report: Callable[[str], None] = lambda reason: None
        self._upstream: Upstream | None = None
        self._parser = HeadParser(False)
        self._status = 0
        self._timer: Timer | None = None
        self._stopped = False

    def within(self, seconds: float) -> None:
        """Ask in so many seconds, if not before."""
        if self._upstream is not None or self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._ask)

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._upstream is not None:
            self._upstream.close()

    def _ask(self) -> None:
        self._timer = None
        self._status = 0
        self._parser = HeadParser(False)
        self._upstream = Upstream(self._loop, self, self._wire, self._address, self._timeouts, keep=False)
        self._upstream.ask(self, self._parameters, None)

    def _result(self, reason: str) -> None:
        self._upstream = None
        self.within(self._interval)
        self.report(reason)

    # The connection's receiver and owner

    def received(self, pieces: list[bytes]) -> None:
        """Some of the answer; only its status matters."""
        if self._status:
            return
        try:
            for piece in pieces:
                head = self._parser.feed(piece)
                self._parser.interim.clear()
                if head is not None:
                    self._status = head.status
                    return
        except ProtocolError as error:
            if self._upstream is not None:
                self._upstream.close()
            self._result(str(error))

    def complained(self, pieces: list[bytes]) -> None:
        """What it writes to its error stream is its own affair here."""

    def asked(self) -> str:
        """For the log."""
        return "a check"

    def completed(self, reusable: bool) -> None:
        """It has answered."""
        if not self._by_status or 0 < self._status < REFUSED:
            self._result("")
        else:
            self._result(f"its answer was {self._status}" if self._status else "it gave no answer")

    def broken(self, failure: Failure) -> None:
        """It has not."""
        number = f", errno {failure.error}" if failure.error else ""
        self._result(f"{failure.stage.value}: {failure.reason}{number}")

    def lost(self, upstream: Upstream) -> None:
        """A kept connection ended; there is none here."""

    def discarded(self, upstream: Upstream, complete: bool) -> None:
        """Nothing is abandoned here."""

    def delayed(self, upstream: Upstream) -> None:
        """Connecting took a moment."""

    def complain(self, text: str) -> None:
        """An error of our own."""
        self._log.error(text)


def _parameters(definition: PoolDefinition) -> bytes:
    """A request of nobody for the path of the check (RFC 3875 section 4.1)."""
    path, _, query = definition.check.partition("?")
    root = (definition.docroot or "").rstrip("/")
    pairs = {
        "CONTENT_LENGTH": "0",
        "QUERY_STRING": query,
        "REQUEST_URI": definition.check,
        "REDIRECT_STATUS": "200",
        "SCRIPT_NAME": path,
        "SCRIPT_FILENAME": root + path,
        "DOCUMENT_ROOT": root,
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "SERVER_SOFTWARE": "fcgibox-check",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_SCHEME": "http",
        "SERVER_PORT": "80",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_NAME": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "0",
        "HTTP_HOST": "localhost",
    }
    return b"".join(pair(name.encode(), value.encode()) for name, value in pairs.items())
