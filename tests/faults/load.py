"""Bounded load from threads: every answer is kept, so that a test can say exactly which requests failed."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass

from tests.http_client import Address, connect


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: its status (0: no answer), the seconds it took, and the octets that came."""

    started: float
    status: int
    seconds: float
    body: bytes


class Load:
    """`clients` threads ask for one target, one request after the other, until `stop`, or `limit` requests
    each.
    """

    def __init__(self, address: Address, target: str, clients: int, limit: int = 100_000) -> None:
        self.outcomes: list[Outcome] = []
        self._address = address
        self._target = target
        self._limit = limit
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        for _ in range(self._limit):
            if self._stopping.is_set():
                return
            self.outcomes.append(self._ask())

    def _ask(self) -> Outcome:
        started = time.monotonic()
        status, body = 0, b""
        try:
            connection = http.client.HTTPConnection("localhost", timeout=30)
            connection.sock = connect(self._address, 30)
            connection.request("GET", self._target)
            answer = connection.getresponse()
            body = answer.read()
            status = answer.status
            connection.close()
        except (OSError, http.client.HTTPException):
            status = 0
        return Outcome(started, status, time.monotonic() - started, body)

    def stop(self) -> list[Outcome]:
        """Let running requests end; all outcomes."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(35)
        return self.outcomes

    def wait(self) -> list[Outcome]:
        """Wait until every client has made its `limit` requests; all outcomes."""
        for thread in self._threads:
            thread.join(60)
        return self.outcomes
