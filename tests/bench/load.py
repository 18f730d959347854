"""One burst of load by wrk, and what it cost the front that answered it."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from tests import processes
from tests.bench.peer import Peer

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Burst:
    """What one run of wrk showed."""

    rate: float
    """Answers per second."""
    cost: float
    """Microseconds of the front's own CPU time per answer (user and system, its processes only)."""
    p99: float
    """Milliseconds that 99 % of the requests did not exceed."""


def burst(peer: Peer, target: str, connections: int, seconds: int) -> Burst:
    """Ask `peer` for `target` on so many kept connections. AssertionError if an answer is not 2xx."""
    fronts = peer.fronts()
    before = sum(map(processes.cpu_seconds, fronts))
    words = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", f"{peer.url}{target}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as wrk:
        # The last processor for the load generator, so that it takes as little as possible from the servers.
        os.sched_setaffinity(wrk.pid, {max(os.sched_getaffinity(0))})
        assert wrk.stdout is not None
        text = wrk.stdout.read()
    used = sum(map(processes.cpu_seconds, fronts)) - before
    answered = _number(r"(\d+) requests in", text)
    assert answered and "Non-2xx" not in text and "Socket errors" not in text, (
        f"{peer.name} {target}:\n{text}"
    )
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text)
    assert p99, text
    return Burst(
        _number(r"Requests/sec:\s+([\d.]+)", text), used / answered * 1e6, float(p99[1]) * _UNITS[p99[2]]
    )


def _number(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    assert match, text
    return float(match[1])
