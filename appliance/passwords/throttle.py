"""Slowing guesses: how long the answer to a wrong password waits.

Pure decisions, the caller brings the time and does the waiting. The first failures from an address cost
nothing (people mistype), further ones more and more; half a minute of quiet forgives one. A right password
forgives none: somebody with an account of their own could otherwise guess at full speed.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from dataclasses import dataclass, field

DELAYS = (0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before the answer to the n-th failure
FORGIVEN_AFTER = 30.0  # seconds for one failure
DELAYED_LIMIT = 32  # answers of one address that wait
ADDRESS_LIMIT = 10_000  # addresses remembered; the one that failed longest ago goes first


@dataclass(slots=True)
class _Guesser:
    failures: int
    counted: float  # when the last of them was
    due: deque[float] = field(default_factory=deque)  # when the answers that wait go out, in order


class Throttle:
    """Failures and waiting answers by source, as `source_of` gives it."""

    def __init__(self) -> None:
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def crowded(self, source: str, now: float) -> bool:
        """Whether too many answers wait for that source to check anything more for it.

        An answer counts until its time even if its client has gone: whoever takes silence for a "no" and
        tries the next password guesses no faster.
        """
        guesser = self._guessers.get(source)
        if guesser is None:
            return False
        while guesser.due and guesser.due[0] <= now:
            guesser.due.popleft()
        return len(guesser.due) >= DELAYED_LIMIT

    def failed(self, source: str, now: float) -> float:
        """Count a wrong password; return the seconds that its answer has to wait."""
        if not source:
            return 0.0  # a unix socket: the front before us knows the addresses, we do not
        guesser = self._guessers.pop(source, None) or _Guesser(0, now)
        forgiven = int((now - guesser.counted) / FORGIVEN_AFTER)
        guesser.failures = min(max(guesser.failures - forgiven, 0) + 1, len(DELAYS))
        guesser.counted = now
        self._guessers[source] = guesser
        if len(self._guessers) > ADDRESS_LIMIT:
            self._guessers.popitem(last=False)
        delay = DELAYS[guesser.failures - 1]
        if delay:
            # Forgiveness can make a later answer due first; it then counts as long as those before it.
            guesser.due.append(now + delay)
        return delay


def source_of(address: str) -> str:
    """What counts as one source: an IPv4 address, the /64 of an IPv6 one, "" for a unix socket."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"
