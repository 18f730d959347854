"""The states of a client connection; see `connection`."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """What the connection is doing."""

    IDLE = "idle"
    HEAD = "head"
    SERVING = "serving"
    BODY = "body"
    SENDING = "sending"
    TUNNEL = "tunnel"  # in other hands
    LINGERING = "lingering"
    CLOSED = "closed"
