"""Nothing runs twice: when a request that failed may be sent again, on another connection.

A request may have run as soon as the kernel took one octet of it; that an application closed its end proves
nothing. So it goes out again only (a) if connecting failed or no octet of it was accepted, or (b) if a kept
connection turned out to be dead: reset or broken before any answer, and the method is one that changes
nothing (RFC 9110 section 9.2.1). In the case (b) once. If nothing was accepted, more often: children of an
application that end after a number of requests do so at the same time, and leave several kept connections
dead. Where connecting fails, as often as there may be other hosts; a connect-timeout is long: after the
second one the client is told.
"""

from __future__ import annotations

import errno

from appliance.gateway.failure import Failure, Stage

ATTEMPTS = 5  # other hosts that are tried when connecting fails, as in lighttpd; dead kept connections

_UNCHANGING = frozenset(("GET", "HEAD", "OPTIONS"))
_DEAD = frozenset((errno.EPIPE, errno.ECONNRESET))


def is_unchanging(method: str) -> bool:
    """Whether a request with this method may be sent again when a kept connection turns out to be dead."""
    return method in _UNCHANGING


def may_retry(failure: Failure, method: str, retries: int, attempts: int = 1) -> bool:
    """Whether a request with this `method` may be sent again after `failure`; it was so `retries` times.

    `attempts`: how often it may be for want of a connection.
    """
    if failure.answered:
        return False
    if failure.stage is Stage.CONNECTING:
        return retries < (1 if failure.timeout else attempts)
    if retries >= ATTEMPTS:
        return False
    if not failure.accepted:
        return True
    return failure.reused and failure.error in _DEAD and is_unchanging(method)


def counted(failure: Failure, retries: int) -> int:
    """How often it was sent again, for the next `may_retry`: what may have been seen does so once."""
    return ATTEMPTS if failure.accepted else retries + 1
