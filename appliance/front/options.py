"""What the supervisor tells a front at its birth, beside the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrontOptions:
    """Facts of one front process."""

    started: float  # when the server started, seconds since the epoch
    generation: int  # counts fronts: 1 is the first
    connection_limit: int  # client connections at once, from RLIMIT_NOFILE and server.max-connections
    spool_directory: str  # where bodies are spooled; the front can write there
    graceful_limit: float  # seconds that requests have to end when the front leaves
    confine: Callable[[], None] | None = None  # enters the chroot and gives root up; None: that is done
