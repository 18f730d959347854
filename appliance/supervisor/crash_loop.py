"""Deaths soon after the start: how many in a row, and how long the next start waits for them."""

from __future__ import annotations

YOUNG = 5.0  # a process that lived shorter counts for the crash loop
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LOOP = 3  # young deaths in a row that make a crash loop


class CrashLoop:
    """Of one pool. Times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self.deaths = 0
        """Young deaths in a row."""
        self.delayed_until = float("-inf")
        """Nothing is started before."""
        self._counted_at = float("-inf")
        self._deaths_before = 0  # the fresh attempt

    @property
    def is_loop(self) -> bool:
        """Whether there were too many."""
        return self.deaths >= LOOP

    def count(self, started: float, now: float) -> None:
        """One has died young. Those that died of the same event count once."""
        if started >= self._counted_at:
            self.deaths += 1
            self._counted_at = now
        if self.deaths > 1:
            self.delayed_until = now + min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self.deaths - 2))

    def forget(self) -> None:
        """It is over."""
        self.deaths = 0

    def try_afresh(self) -> None:
        """Somebody has perhaps mended it: start at once, and as if nothing had been."""
        self._deaths_before, self.deaths = self.deaths, 0
        self.delayed_until = float("-inf")

    def resume(self) -> None:
        """The fresh attempt was in vain."""
        self.deaths = self._deaths_before

    def recovered_at(self, oldest: float) -> float:
        """When the deaths are to be forgotten if no other comes; the `oldest` that works has done so since
        then."""
        return max(oldest, self._counted_at, self.delayed_until) + 2 * YOUNG
