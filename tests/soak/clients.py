"""Clients with a seed: each asks at its pace, checks every octet of the answer, and sometimes leaves."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from pathlib import Path

from tests.box import Box
from tests.http_client import ProtocolViolation, Wire, request_bytes
from tests.soak.ledger import Ledger

LEAVING = 0.02  # of all requests
SLOW = 0.01
PATIENCE = 60.0  # seconds for an answer


class CountingWire(Wire):
    """A connection that knows whether anything of the present answer has come."""

    begun = False

    def _receive(self) -> bytes:
        data = super()._receive()
        self.begun |= bool(data)
        return data


class Client(threading.Thread):
    """One visitor on kept connections."""

    def __init__(
        self,
        box: Box,
        ledger: Ledger,
        journal: Path,
        name: str,
        requests: int,
        seconds: float,
        deadline: float,
    ) -> None:
        """`requests` spread over `seconds`; on a slow machine it takes longer, until `deadline`."""
        super().__init__(name=name, daemon=True)
        self._box = box
        self._ledger = ledger
        self._journal = journal
        self._requests = requests
        self._pace = seconds / max(1, requests)
        self._deadline = deadline
        self._random = random.Random(name)
        self._wire: CountingWire | None = None
        self._number = 0

    def run(self) -> None:
        start = time.monotonic() + self._random.random() * self._pace
        for number in range(self._requests):
            ahead = start + number * self._pace - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            elif time.monotonic() > self._deadline:
                break
            self._one()
        self._drop()

    def _one(self) -> None:
        self._number += 1
        chance = self._random
        nonce = f"{self.name}-{self._number}"
        post = chance.random() < 0.5
        body = chance.randbytes(_size(chance)) if post else b""
        size = _size(chance)
        target = f"/app?nonce={nonce}"
        if post:
            target += f"&mark={self._journal}"
        if chance.random() < SLOW:
            target += f"&sleep={chance.random() / 10:.3f}"
        octets = request_bytes("POST" if post else "GET", f"{target}&echo={size}", (), body)
        if chance.random() < LEAVING:
            self._leave(nonce, post, octets)
            return
        reused = self._wire is not None
        try:
            wire = self._wire = self._wire or CountingWire(self._box.address, PATIENCE)
            wire.begun = False
            wire.send(octets)
            answer = wire.answer()
        except (ProtocolViolation, OSError) as error:
            begun = self._wire is not None and self._wire.begun
            self._drop()
            with self._ledger.lock:
                if reused and not begun and not isinstance(error, TimeoutError):
                    self._ledger.closed.add(nonce)
                else:
                    self._ledger.failed[nonce] = f"{type(error).__name__}: {str(error)[:80]}"
            return
        head, _, filling = answer.body.partition(b"\n")
        right = (
            head.split()[:2] == [nonce.encode(), hashlib.sha256(body).hexdigest().encode()]
            and filling == (nonce.encode() * (size // len(nonce) + 1))[:size]
        )
        with self._ledger.lock:
            if answer.status != 200:
                self._ledger.failed[nonce] = str(answer.status)
            elif not right:
                self._ledger.wrong.append(f"{nonce} got {head[:100]!r} and {len(filling)} of {size} octets")
            elif post:
                self._ledger.answered[nonce] += 1
            else:
                self._ledger.gets += 1
        if answer.header("Connection") == "close":
            self._drop()

    def _leave(self, nonce: str, post: bool, octets: bytes) -> None:
        """Ask, and go: in the middle of the request, after it, or in the middle of the answer."""
        chance = self._random
        with self._ledger.lock:
            self._ledger.leavers += 1
            if post:
                self._ledger.left.add(nonce)
        stage = chance.choice(("request", "working", "answer"))
        try:
            wire = self._wire or self._box.wire(PATIENCE)
            self._wire = None
            wire.send(octets[: chance.randrange(len(octets))] if stage == "request" else octets)
            if stage == "answer":
                wire.sock.recv(chance.randrange(1, 300))
            if chance.random() < 0.5:
                wire.reset()
            wire.close()
        except OSError:
            pass

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _size(chance: random.Random) -> int:
    """Octets of a body: mostly small, some beyond what is held in memory or back."""
    kind = chance.random()
    if kind < 0.9:
        return chance.randrange(2000)
    return chance.randrange(100_000 if kind < 0.99 else 1_000_000)
