"""The end of a tunnel: what the application said last reaches a slow client, and nobody lingers for ever."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import gevent
import pytest

from appliance.gateway import tunnel
from appliance.gateway.records import END_REQUEST, STDOUT, record
from appliance.gateway.tunnel import Detached, Tunnel
from appliance.gateway.wire import WIRES
from appliance.http.handover import Handover
from appliance.http.loop import Loop

LAST = bytes(range(256)) * 240  # less than one read, more than our end of the client's connection takes


class Ends:
    """Both ends of a tunnel, and who dug it."""

    def __init__(self, write_seconds: float = 60.0) -> None:
        self.over: list[str] = []
        self.released: list[bool] = []
        ours, self.client = socket.socketpair()
        theirs, self.application = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        for sock in (ours, theirs, self.client):
            sock.setblocking(False)
        self.sockets = (ours, theirs, self.client, self.application)
        wire = WIRES["fastcgi"]
        handover = Handover(ours, b"", b"", 60.0, write_seconds, lambda octets: None)
        detached = Detached(theirs, wire, wire.decoder(), b"", 60.0, 60.0)
        loop = Loop(self.over.append)
        self.tunnel = Tunnel(loop, handover, detached, self, propagate_fin=False)
        self.tunnel.start(handover, detached, b"")

    def complained(self, pieces: list[bytes]) -> None:
        raise AssertionError(pieces)

    def application_over(self, complete: bool) -> None:
        self.released.append(complete)

    def tunnel_over(self, reason: str) -> None:
        self.over.append(reason)

    def complain(self, text: str) -> None:
        raise AssertionError(text)

    def turn_until_over(self, chatting: bool = False) -> None:
        """Let the loop run until the tunnel is over; the client says something all the time, or nothing."""
        deadline = time.monotonic() + 10
        while not self.over:
            assert time.monotonic() < deadline, "it never ends"
            if chatting:
                self.client.send(b"x")
            gevent.sleep(0.02)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr(tunnel, "LINGER_SECONDS", 0.3)
    ends = Ends()
    yield ends
    ends.tunnel.cut("the test is over")
    for sock in ends.sockets:
        sock.close()


def test_a_slow_client_gets_the_last_words(ends: Ends) -> None:
    ends.application.sendall(record(STDOUT, LAST) + record(END_REQUEST, bytes(8)))
    deadline = time.monotonic() + 10
    while not ends.released:
        assert time.monotonic() < deadline
        gevent.sleep(0.02)
    gevent.sleep(1)  # longer than it lingers
    assert ends.over == []
    received = b""
    while len(received) < len(LAST):
        try:
            data = ends.client.recv(65536)
        except BlockingIOError:
            gevent.sleep(0.01)
            continue
        assert data, f"cut after {len(received)} octets"
        received += data
    assert received == LAST
    ends.turn_until_over()
    assert (ends.over, ends.released) == ([""], [True])


def test_a_client_that_goes_on_talking_is_left(ends: Ends) -> None:
    ends.application.close()
    ends.turn_until_over(chatting=True)
    assert ends.over == [""]


def test_a_client_that_talks_and_takes_nothing_is_cut(ends: Ends) -> None:
    """What it says is no sign that it reads."""
    impatient = Ends(write_seconds=0.3)
    impatient.application.sendall(record(STDOUT, LAST))
    impatient.turn_until_over(chatting=True)
    assert "took nothing" in impatient.over[0]
    for sock in impatient.sockets:
        sock.close()
