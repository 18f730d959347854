"""What all handlers of a front share: made once, handed to every `build`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.http.files import FileCache
from appliance.http.loop import Loop, WorkerPool
from appliance.http.spool import Spool
from appliance.passwords.checker import Checker
from appliance.passwords.store import PasswordStore
from appliance.passwords.throttle import Throttle
from appliance.report.access_log import AccessLog
from appliance.report.error_log import LEVELS, format_line
from appliance.report.writer import Writer

if TYPE_CHECKING:
    from appliance.front.dispatch import Dispatch
    from appliance.front.sites import Sites


class FrontLog:
    """The error log of the front: lines go to the writer's queue, nothing waits."""

    def __init__(self, writer: Writer, level: str) -> None:
        """`level` is the least important one that is written ("debug" … "error")."""
        self._writer = writer
        self._lowest = LEVELS.index(level)

    def _put(self, level: str, text: str) -> None:
        if LEVELS.index(level) >= self._lowest:
            self._writer.put(format_line(level, "front", text).encode("utf-8", "surrogateescape"))

    def debug(self, text: str) -> None:
        """For whoever looks for a fault in fcgibox itself."""
        self._put("debug", text)

    def traced(self, text: str) -> None:
        """What an option asks for, whatever the level."""
        self._writer.put(format_line("debug", "front", text).encode("utf-8", "surrogateescape"))

    def info(self, text: str) -> None:
        """What the server does."""
        self._put("info", text)

    def warning(self, text: str) -> None:
        """Something an admin may want to look into."""
        self._put("warning", text)

    def error(self, text: str) -> None:
        """Something that failed, with what to do about it."""
        self._put("error", text)


@dataclass(slots=True, eq=False)
class Services:
    """See the module's text."""

    loop: Loop
    log: FrontLog
    access: AccessLog
    workers: WorkerPool
    files: FileCache
    passwords: PasswordStore
    checker: Checker
    throttle: Throttle
    dispatch: Dispatch
    spool_directory: str
    sites: Sites = field(init=False)  # made after these, as they are made of these
    describe: Callable[[], dict[str, Any]] = field(init=False)  # what the front says about itself
    octets: int = 0  # of bodies that were sent; counted only if somebody may ask (status.status-url)

    @property
    def clock(self) -> Loop:
        """Monotonic seconds: the loop has the clock."""
        return self.loop

    def spool(self) -> Spool:
        """A new spool for a body, request or answer."""
        return Spool(self.spool_directory)
