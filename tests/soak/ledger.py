"""What was asked and what came of it, from all clients; and the verdict in the end."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_FAILED = re.compile(r"front: (\S+): (?:GET|POST) /app\?nonce=([\w-]+)\S* (?:answered with|was cut)")


@dataclass(slots=True)
class Ledger:
    """Filled by clients and troublemakers, read when they have ended. Nonces name requests."""

    answered: Counter[str] = field(default_factory=Counter)  # POSTs with a complete, right answer
    gets: int = 0  # GETs with one
    left: set[str] = field(default_factory=set)  # POSTs whose client left
    leavers: int = 0
    closed: set[str] = field(default_factory=set)  # the kept connection ended before an answer began
    failed: dict[str, str] = field(default_factory=dict)  # and how
    wrong: list[str] = field(default_factory=list)  # answers that belong to somebody else, or are damaged
    killed: list[str] = field(default_factory=list)  # names of processes
    reloads: int = 0
    memory: list[tuple[float, int, int]] = field(default_factory=list)  # seconds, pid of the front, PSS in kB
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        """All that were begun."""
        return (
            self.gets + self.answered.total() + self.leavers + len(self.closed) + len(self.failed)
            + len(self.wrong)
        )  # fmt: skip

    def verdict(self, journal: Path, log: str, slots: int) -> list[str]:
        """Every rule that was broken. `journal` has a line for each POST that ran; `slots` of a process."""
        ran = Counter(journal.read_text().split())
        broken = [f"wrong answer: {text}" for text in self.wrong[:20]]
        broken += [f"{nonce} ran {count} times" for nonce, count in ran.items() if count > 1]
        broken += [f"{nonce} was answered and never ran" for nonce in self.answered if not ran[nonce]]
        broken += [
            f"{nonce} ran, its connection was closed without an answer" for nonce in self.closed if ran[nonce]
        ]
        known = self.answered.keys() | self.left | self.closed | self.failed.keys()
        broken += [f"{nonce} ran and was never asked" for nonce in ran if nonce not in known]
        blamed = {nonce: process for process, nonce in _FAILED.findall(log)}
        killed = set(self.killed)
        broken += [
            f"{nonce} failed ({how}) in {blamed.get(nonce, 'no process')}, which nobody killed"
            for nonce, how in self.failed.items()
            if blamed.get(nonce) not in killed
        ]
        broken += [
            f"{count} requests failed in {process}, which has {slots} slots"
            for process, count in Counter(blamed[nonce] for nonce in self.failed if nonce in blamed).items()
            if count > slots
        ]
        if "Traceback" in log:
            broken.append("there is a traceback in the log")
        return broken
