"""Nothing runs twice: when a request that failed may be sent again, once, on another connection.

A request may have run as soon as the kernel took one octet of it; that an application closed its end proves
nothing. So it goes out again only (a) if connecting failed or no octet of it was accepted, or (b) if a kept
connection turned out to be dead: reset or broken before any answer, and the method is one that changes
nothing (RFC 9110 section 9.2.1).
"""

from __future__ import annotations

import errno

from appliance.gateway.failure import Failure, Stage

_UNCHANGING = frozenset(("GET", "HEAD", "OPTIONS"))
_DEAD = frozenset((errno.EPIPE, errno.ECONNRESET))


def may_retry(failure: Failure, method: str, already_retried: bool) -> bool:
    """Whether a request with this `method` may be sent again after `failure`."""
    if already_retried or failure.answered:
        return False
    if failure.stage is Stage.CONNECTING or not failure.accepted:
        return True
    return failure.reused and failure.error in _DEAD and method in _UNCHANGING
