"""POSTs that leave a trace: each has a number of its own, and the application writes down what it was asked.

So a test can tell a lost request (no 200), one that never ran (no line) and one that ran twice (two lines).
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.http_client import Address, connect

NOTE = """<?php
file_put_contents('{ledger}', getmypid() . ' ' . $_GET['nonce'] . ' ' . strlen($_POST['x'] ?? '') . "\\n",
    FILE_APPEND | LOCK_EX);
echo getmypid(), ' ', $_GET['nonce'];
"""


def write_script(path: Path, ledger: Path) -> None:
    """A PHP page that notes who asked."""
    path.write_text(NOTE.format(ledger=ledger))
    ledger.touch()
    ledger.chmod(0o666)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One POST: status 0 is no answer."""

    nonce: int
    status: int
    body: str


class Posts:
    """`clients` threads post to `target`, each on one kept connection, `total` requests together or until
    `stop`; the first has the number `first`.
    """

    def __init__(self, address: Address, target: str, clients: int, total: int, first: int = 0) -> None:
        self.outcomes: list[Outcome] = []
        self._address = address
        self._target = target
        self._numbers = iter(range(first, first + total))
        self._lock = threading.Lock()
        self._stopping = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stopping:
            with self._lock:
                nonce = next(self._numbers, None)
            if nonce is None:
                break
            if connection is None:
                connection = http.client.HTTPConnection("localhost", timeout=30)
            status, body = 0, ""
            try:
                if connection.sock is None:
                    connection.sock = connect(self._address, 30)
                connection.request(
                    "POST",
                    f"{self._target}?nonce={nonce}",
                    f"x={'y' * (nonce % 100)}",
                    {"Content-Type": "application/x-www-form-urlencoded"},
                )
                answer = connection.getresponse()
                body = answer.read().decode()
                status = answer.status
            except (OSError, http.client.HTTPException) as error:
                body = repr(error)
                connection.close()
                connection = None
            self.outcomes.append(Outcome(nonce, status, body))
        if connection is not None:
            connection.close()

    def stop(self) -> list[Outcome]:
        """No further requests; all outcomes when the running ones are over."""
        self._stopping = True
        return self.wait()

    def wait(self, timeout: float = 120.0) -> list[Outcome]:
        """All outcomes, once every request has been made."""
        for thread in self._threads:
            thread.join(timeout)
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"
        return self.outcomes


def check_exactly_once(outcomes: list[Outcome], ledger: Path) -> Counter[str]:
    """Every request was answered with 200 and ran once, and nothing else ran; how many each process had."""
    failed = [outcome for outcome in outcomes if outcome.status != 200]
    assert not failed, failed[:5]
    lines = [line.split() for line in ledger.read_text().splitlines()]
    ran = Counter(int(nonce) for _, nonce, _ in lines)
    assert set(ran) == {outcome.nonce for outcome in outcomes}
    assert max(ran.values()) == 1, "ran twice"
    assert all(int(length) == int(nonce) % 100 for _, nonce, length in lines), "a body was lost"
    told = {outcome.nonce: outcome.body for outcome in outcomes}
    assert all(told[int(nonce)] == f"{pid} {nonce}" for pid, nonce, _ in lines), "answers were confused"
    return Counter(pid for pid, _, _ in lines)
