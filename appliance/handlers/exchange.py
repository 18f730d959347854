"""What a handler gets: one request, the settings that apply to it, and the ways to answer.

A handler returns a `Response` (it answers), `None` (not mine: the next handler is asked), or `PENDING` (it
will call `respond` or `proceed` later, from the loop, exactly once), or `AGAIN` (the request is another one
now: the settings that apply are looked up again, and their handlers asked from the first). Handlers run in
callbacks of the loop: no lock, no `logging`, no wait. Work that takes longer goes to `services.workers`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from appliance.config import Settings
from appliance.http.request import Request
from appliance.http.response import Header, Response
from appliance.http.spool import Spool


class Pending(enum.Enum):
    """The type of PENDING and AGAIN."""

    PENDING = "pending"
    AGAIN = "again"


PENDING: Final = Pending.PENDING
AGAIN: Final = Pending.AGAIN

Outcome: TypeAlias = "Response | Pending | None"


class Workers(Protocol):
    """The bounded pool of threads for CPU work and disk waits."""

    def submit(
        self,
        work: Callable[[], Any],
        done: Callable[[Any, BaseException | None], None],
    ) -> bool:
        """Run `work()` in a thread, then `done(result, error)` on the loop. False: the queue is full, nothing
        is run.
        """


class Log(Protocol):
    """The error log; never blocks. Levels as in `report.error_log`."""

    def debug(self, text: str) -> None: ...

    def traced(self, text: str) -> None: ...

    def info(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def error(self, text: str) -> None: ...


class Exchange(Protocol):
    """One request on its way through the handlers."""

    request: Request
    settings: Settings
    environment: dict[
        str, str
    ]  # for applications: REMOTE_USER, AUTH_TYPE, … (server environment, CGI without HTTP_)
    on_gone: Callable[[], None] | None  # called once if the client vanishes while the answer is pending

    def respond(self, response: Response) -> None:
        """Answer after PENDING."""

    def proceed(self) -> None:
        """Not mine after all: ask the next handler (after PENDING)."""

    def receive_body(self, done: Callable[[Spool], None]) -> None:
        """Receive the whole body (100-continue is sent if asked for), then call `done`; errors answer by
        themselves.
        """

    def interim(self, status: int, headers: list[Header]) -> None:
        """Send a 1xx response ahead of the answer, 103 for example."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` on the loop after about `seconds` (wheel of 0.1 s); returns a function that cancels
        it.
        """


class Clock(Protocol):
    """Coarse monotonic seconds of this turn of the loop: reading it costs nothing."""

    def now(self) -> float: ...


Handler: TypeAlias = "Callable[[Exchange], Outcome]"
