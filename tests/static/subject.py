"""The handlers under test, driven in process: a request in octets goes in, an `Answer` comes out.

The head is read by the server's own reader, the settings come from the server's own configuration; only
sockets and the loop are missing. `Exchange` is what the handlers see of the server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.config import Settings, load
from appliance.handlers import access, redirect, static
from appliance.handlers.exchange import Handler
from appliance.http.files import FileCache
from appliance.http.head import BadRequest, find_head, parse_head
from appliance.http.request import Endpoint, Request
from appliance.http.response import FileBody, Header, Response, error_response, reason_phrase
from appliance.http.spool import Spool
from tests.http_client import Answer


class Ticking:
    """Monotonic seconds that a test can advance."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class Lines:
    """An error log that keeps its lines."""

    lines: list[str] = field(default_factory=list)

    def debug(self, text: str) -> None:
        self.lines.append(f"debug {text}")

    def traced(self, text: str) -> None:
        self.lines.append(f"traced {text}")

    def info(self, text: str) -> None:
        self.lines.append(f"info {text}")

    def warning(self, text: str) -> None:
        self.lines.append(f"warning {text}")

    def error(self, text: str) -> None:
        self.lines.append(f"error {text}")


class Services:
    """What the handlers of files share."""

    def __init__(self) -> None:
        self.clock = Ticking()
        self.files = FileCache(self.clock)
        self.log = Lines()


class Exchange:
    """One request whose handlers answer at once: none of those here waits for a body or a timer."""

    def __init__(self, request: Request, settings: Settings) -> None:
        self.request = request
        self.settings = settings
        self.environment: dict[str, str] = {}
        self.on_gone: Callable[[], None] | None = None
        self.answer: Response | None = None

    def run(self, handlers: tuple[Handler, ...]) -> Response:
        """Ask in turn."""
        for handler in handlers:
            outcome = handler(self)
            assert outcome is None or isinstance(outcome, Response)
            if outcome is not None:
                return outcome
        return error_response(404)

    def respond(self, response: Response) -> None:
        raise AssertionError("nothing was pending")

    def proceed(self) -> None:
        raise AssertionError("nothing was pending")

    def receive_body(self, done: Callable[[Spool], None]) -> None:
        raise AssertionError("no handler of files reads a body")

    def interim(self, status: int, headers: list[Header]) -> None:
        raise AssertionError("no handler of files has something to say in advance")

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        raise AssertionError("no handler of files waits")


class Handlers:
    """The handlers of one configuration, in the server's order."""

    def __init__(self, text: str, local_port: int = 80) -> None:
        self.services = Services()
        self.endpoint = Endpoint(
            "http", f"127.0.0.1:{local_port}", "127.0.0.1", 40000, "127.0.0.1", local_port
        )
        self.matcher = load(text, "test").matcher()
        self.compiled: dict[Settings, tuple[Handler, ...]] = {}

    def handlers(self, settings: Settings) -> tuple[Handler, ...]:
        """The handlers of one scope, compiled once."""
        if settings not in self.compiled:
            built = [module.build(settings, self.services) for module in (redirect, access, static)]
            self.compiled[settings] = tuple(handler for handler in built if handler is not None)
        return self.compiled[settings]

    def respond(self, raw: bytes) -> Response:
        """The response to one head."""
        try:
            request = parse_head(raw[: find_head(raw, 65536)], self.endpoint)
        except BadRequest as bad:
            return error_response(bad.status, bad.reason)
        settings = self.matcher.settings_for(request)
        return Exchange(request, settings).run(self.handlers(settings))

    def end(self) -> None:
        """Nothing runs."""

    def ask(self, raw: bytes) -> Answer:
        """The response as a client would receive it."""
        response = self.respond(raw)
        body = content(response)
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
        if response.status != 304:
            length = len(body) if response.length is None else response.length
            fields.append(("Content-Length", str(length)))
        if raw.startswith(b"HEAD ") or response.status == 304:
            body = b""
        return Answer(response.status, reason_phrase(response.status), "HTTP/1.1", tuple(fields), body)


def content(response: Response) -> bytes:
    """The octets of a response's body; its file is closed."""
    body = response.body
    if isinstance(body, bytes):
        return body
    assert isinstance(body, FileBody)
    octets = b"".join(
        part if isinstance(part, bytes) else os.pread(body.file.fd, part[1], part[0]) for part in body.parts
    )
    assert len(octets) == body.length
    body.file.close()
    return octets
