"""The garbage collector under Trac, which collects everything after each request.

With the heap of a warm Trac that costs 13 ms, more than most pages, for garbage that is young anyway. What
lives long is therefore frozen (gc.freeze): after each newly opened environment, and when caches have grown
so much that collecting takes long again. Frozen are only moments between two requests, so that no request's
own objects are caught.
"""

from __future__ import annotations

import gc
import time

_DEAR = 0.001  # seconds for one collection
_FULL = 16  # requests between two collections of everything
_REST = 32  # requests between two freezes for that reason
_THAW = 16  # environments opened again until what they left behind is collected


class Heap:
    """Stands in for the module `gc` in trac.web.main, of which only `collect` is used there."""

    def __init__(self) -> None:
        self._last = 0.0
        self._since = 0
        self._replaced = 0
        self._requests = 0

    def collect(self) -> int:
        """Collect what the request has left, now and then also what older ones left; returns how much."""
        self._requests += 1
        if self._requests % _FULL:
            return gc.collect(1)
        begin = time.perf_counter()
        found = gc.collect()
        self._last = time.perf_counter() - begin
        return found

    def between_requests(self) -> None:
        """Freeze what has gathered, if it has become dear."""
        self._since += 1
        if self._last > _DEAR and self._since >= _REST:
            self.settle()

    def settle(self) -> None:
        """Freeze everything that is not garbage."""
        gc.collect()
        gc.freeze()
        self._since, self._last = 0, 0.0

    def environment_replaced(self) -> None:
        """An environment was opened again because its configuration changed; the old one may lie frozen.

        Thawing touches all shared pages, so it is not done for each.
        """
        self._replaced += 1
        if self._replaced % _THAW == 0:
            gc.unfreeze()
