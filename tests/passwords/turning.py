"""The front's real loop and worker threads, turned by the test until something is true."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from appliance.http.loop import Loop, WorkerPool


class Turning:
    """A loop with a worker pool; `errors` holds what a callback raised."""

    def __init__(self, threads: int = 2, backlog: int = 100) -> None:
        self.errors: list[str] = []
        self.loop = Loop(self.errors.append)
        self.workers = WorkerPool(self.loop, threads, backlog)

    def until(self, condition: Callable[[], bool], limit: float = 30.0) -> None:
        """Turn the loop until the condition holds; fail after `limit` seconds, or if a callback raised."""
        deadline = time.monotonic() + limit
        while not condition():
            assert not self.errors, self.errors
            assert time.monotonic() < deadline, "the state was not reached in time"
            gevent.sleep(0.001)
        assert not self.errors, self.errors
