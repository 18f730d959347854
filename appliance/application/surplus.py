"""Kept connections that are idle while we are busy, on a listener that other processes accept from too.

A front that keeps connections (nginx's `keepalive`) may send its next request on one of ours although we are
busy and another process is free: that request would wait for no reason. So when an answer takes longer than a
moment, the idle connections are shut down; the front then connects anew, and whoever is free accepts. Closing
them at once would be wrong: the front is about to use them again, and whoever sends in the moment of closing
sees an error. On a listener of our own the front has chosen us, and nothing is to be won.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Iterator, Sequence

_MOMENT = 0.02  # seconds of an answer that are nothing to speak of


@contextlib.contextmanager
def given_up(idle: Sequence[socket.socket]) -> Iterator[None]:
    """Shut down these sockets, which nobody else may use meanwhile, if what is done takes long."""
    if not idle:
        yield
        return
    timer = threading.Timer(_MOMENT, _shut_down, (idle,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _shut_down(idle: Sequence[socket.socket]) -> None:
    for connection in idle:
        try:
            connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            # Nothing has come: the front has not begun to use it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
