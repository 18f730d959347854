"""How far a request had come when its connection to an application failed, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Stage(enum.Enum):
    """How far a request had come when its connection failed."""

    CONNECTING = "connecting"
    SENDING = "sending the request"
    WAITING = "waiting for the answer"
    ANSWERING = "receiving the answer"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection failed, as the retry rule and the log need it."""

    stage: Stage
    reason: str  # for the log: "Connection refused", "the connection was closed without an answer", …
    error: int  # errno; 0 when the application closed, sent nonsense or was too slow
    timeout: bool
    accepted: bool  # octets of the request were taken by the kernel
    answered: bool  # octets of an answer came
    reused: bool  # the connection had served a request before
    local: str = ""  # our IP address on it, if it was a new one over TCP that ended before an answer
