"""What a connection needs of the front, and what it tells whoever answers its requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.http.loop import Loop
from appliance.http.request import Request
from appliance.http.serialize import Tail
from appliance.http.spool import Spool

if TYPE_CHECKING:
    from appliance.http.connection import Connection


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of every connection: seconds, octets, requests."""

    head_seconds: float
    read_seconds: float
    write_seconds: float
    idle_seconds: float
    head_octets: int
    requests: int


class Transaction(Protocol):
    """One request being answered."""

    engaged: bool  # whoever answers it has been found: it will not look for an application any more

    def start(self) -> None:
        """Find the answer; `connection.answer` may be called from within."""

    def gone(self) -> None:
        """The client vanished before the answer was complete."""

    def finished(self, status: int, octets: int) -> None:
        """The answer is out (or cut): its status and the octets of its body that were sent."""


class Service(Protocol):
    """What all connections of a front share."""

    loop: Loop
    limits: Limits
    tail: Tail

    def open(self, connection: Connection, request: Request) -> Transaction:
        """Begin to answer a request."""

    def refused(self, connection: Connection, status: int, reason: str, line: bytes | None) -> None:
        """A request could not be read, or not to its end, and was answered with `status`.

        `line` is its first line as far as it came; None if it has a transaction, which is told as well.
        """

    def closed(self, connection: Connection) -> None:
        """Forget the connection."""

    def complain(self, text: str) -> None:
        """An error of our own, with a traceback, for the log."""

    def spool(self) -> Spool:
        """A new spool for a request body."""
