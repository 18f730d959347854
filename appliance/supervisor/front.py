"""One front process, as the supervisor sees it, and what runs in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from appliance.config import Configuration
from appliance.supervisor.channel import Channel
from appliance.supervisor.loop import Timer
from appliance.supervisor.output import Output
from appliance.supervisor.plan import Plan

if TYPE_CHECKING:
    from appliance.front.options import FrontOptions


class FrontEntry(Protocol):
    """What runs in the forked process; its result is the exit status."""

    def __call__(
        self,
        configuration: Configuration,
        listeners: dict[str, int],
        channel_fd: int,
        logs: dict[str, int],
        options: FrontOptions,
    ) -> int: ...


def serve(
    configuration: Configuration,
    listeners: dict[str, int],
    channel_fd: int,
    logs: dict[str, int],
    options: FrontOptions,
) -> int:
    """The real front. Imported only here, in its own process: gevent patches what it finds."""
    from appliance.front.main import run

    return run(configuration, listeners, channel_fd, logs, options)


@dataclass(slots=True, eq=False)
class Front:
    """One generation."""

    generation: int
    pid: int
    plan: Plan
    channel: Channel
    output: Output
    started: float
    ready: Callable[[], None]
    failed: Callable[[str], None]
    state: str = "starting"
    drained: bool = False
    timer: Timer | None = None
    answers: dict[int, Callable[[dict[str, Any] | None], None]] = field(default_factory=dict)
    retired: set[tuple[str, str]] = field(default_factory=set)
    """(pool, process) in which it has no request any more, and will have none."""
