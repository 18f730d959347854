"""What the pools of a supervisor share, and who is told what happens in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from appliance.report.error_log import ErrorLog
from appliance.supervisor.addresses import Addresses
from appliance.supervisor.children import Children
from appliance.supervisor.loop import Loop

if TYPE_CHECKING:
    from appliance.supervisor.applications import Applications


class Audience(Protocol):
    """Who is told what happens in a pool."""

    def announce(self, applications: Applications, process: str) -> None:
        """It may be used."""

    def retire(self, applications: Applications, process: str) -> None:
        """It gets no new request."""

    def gone(self, applications: Applications, process: str, reason: str, stderr: tuple[str, ...]) -> None:
        """It is dead."""

    def tell(self, applications: Applications, state: str, reason: str) -> None:
        """The pool is in another state."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pools of a supervisor share."""

    loop: Loop
    children: Children
    addresses: Addresses
    log: ErrorLog
    audience: Audience
    inherited: Mapping[str, str]
    open_files: tuple[int, int]
    """RLIMIT_NOFILE as we found it: programs that use select() cannot live with ours."""
    graceful_limit: float
    serials: dict[str, Iterator[int]] = field(default_factory=dict)
