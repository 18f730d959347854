"""One wait with a limit that moves often and is reached seldom.

Setting it costs a comparison: the timer of the wheel stays where it is while the deadline moves away, looks
at the clock when it fires, and is set again for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from appliance.http.loop import Loop
from appliance.http.wheel import Timer


class Deadline:
    """Calls back once, after the seconds of the last `after`, unless `clear` comes first."""

    __slots__ = ("_callback", "_loop", "_timer", "_timer_at", "at")

    def __init__(self, loop: Loop, callback: Callable[[], None]) -> None:
        """`callback` runs on the loop and must be guarded by its owner."""
        self._loop = loop
        self._callback = callback
        self._timer: Timer | None = None
        self._timer_at = math.inf
        self.at = math.inf  # monotonic seconds; may be set to inf, which is `clear`

    def after(self, seconds: float) -> float:
        """The wait may take `seconds` from now; returns now."""
        loop = self._loop
        now = loop.now()
        at = self.at = now + seconds
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = loop.call_later(seconds, self._fire)
        return now

    def clear(self) -> None:
        """There is no limit for now."""
        self.at = math.inf

    def close(self) -> None:
        """Never call back again."""
        self.at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        if self.at is math.inf:
            return
        left = self.at - self._loop.now()
        if left > 0:
            self.after(left)
        else:
            self.at = math.inf
            self._callback()
