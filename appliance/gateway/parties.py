"""Who has to do with a connection to an application: who asks, who holds it, and how long each waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.gateway.failure import Failure

if TYPE_CHECKING:
    from appliance.gateway.upstream import Upstream

DISCARD_SECONDS = 10.0  # design: abort-timeout


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; 0 is none. `connect-timeout`, `write-timeout` and `read-timeout` of a host entry."""

    connect: float
    write: float
    read: float
    discard: float = DISCARD_SECONDS
    """How long an answer that nobody wants is read."""


class Receiver(Protocol):
    """Who asked."""

    def received(self, pieces: list[bytes]) -> None:
        """Octets of the answer's head and body."""

    def complained(self, pieces: list[bytes]) -> None:
        """Octets of the application's error stream."""

    def completed(self, reusable: bool) -> None:
        """The answer is complete; reusable: the connection is kept open and may be asked again."""

    def asked(self) -> str:
        """The request, for the log."""

    def broken(self, failure: Failure) -> None:
        """No answer, or no more of it. The connection is closed."""


class Owner(Protocol):
    """Who holds the connection while nobody asks."""

    def lost(self, upstream: Upstream) -> None:
        """A kept connection was closed by the application, or sent something unasked."""

    def discarded(self, upstream: Upstream, complete: bool) -> None:
        """An abandoned request is over; complete: the application has finished it, so it is free again."""

    def delayed(self, upstream: Upstream) -> None:
        """Connecting took a moment, as it may; it has succeeded."""

    def complain(self, text: str) -> None:
        """An error of our own, for the log."""
