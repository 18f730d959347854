"""What the policy of a pool (`pool`) tells its shell (`applications`) to do, and the states it knows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Of one process; a dead one is forgotten."""

    STARTING = "starting"
    RUNNING = "running"
    RETIRING = "retiring"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process of this name."""

    process: str


@dataclass(frozen=True, slots=True)
class Prove:
    """Find out whether it serves; then `proven` or `unproven`."""

    process: str


@dataclass(frozen=True, slots=True)
class Announce:
    """The front may use it."""

    process: str


@dataclass(frozen=True, slots=True)
class Retire:
    """The front gives it no new request and says when its last one is over."""

    process: str


@dataclass(frozen=True, slots=True)
class End:
    """End it: gently (nothing runs in it), or urgently (it is stuck)."""

    process: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """It has died; the front's requests in it have failed."""

    process: str
    reason: str
    stderr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """The pool's state has changed: "starting", "running", "failing" or "stopped"."""

    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """A restart is over; error: the old processes that were left stay."""

    error: str | None
    stderr: tuple[str, ...]


Action = Start | Prove | Announce | Retire | End | Gone | Tell | Restarted


@dataclass(frozen=True, slots=True)
class Exit:
    """The last end that nobody asked for."""

    process: str
    reason: str
    stderr: tuple[str, ...]
    at: float
