"""Fronts that are in no Debian package, by what they are known to send: a scripted client, not the real ones.

LiteSpeed: the external application of Trac's documentation, with ten persistent connections, kept for some
time after the last request, to a process that it starts with the socket on descriptor 0. Cherokee: SCGI to a
port, as its wizard for Trac sets it up.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tests.application.front import Front, Process, holds_open, parameters, request, scgi
from tests.box import program
from tests.fronts.applications import shared
from tests.fronts.walk import Crowd
from tests.server import reserve_port
from tests.trac_projects import Projects
from tests.waiting import until

_KEPT_FOR = 0.5  # seconds; LiteSpeed's own value is 30


class LiteSpeed:
    """A pool of at most ten connections that are kept, as its "Persistent Connection" does."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[tuple[float, Front]] = []
        self._lock = threading.Lock()
        self._free = threading.Semaphore(10)
        self.opened = 0

    def ask(self, path: str, body: bytes = b"") -> int:
        """The status of an answer. A kept connection that has ended is replaced, before anything is sent."""
        with self._free:
            connection = self._take()
            given = parameters(path, "POST" if body else "GET")
            given |= {
                "SCRIPT_NAME": "/trac",
                "SERVER_SOFTWARE": "LiteSpeed",
                "GATEWAY_INTERFACE": "CGI/1.1",
                "REQUEST_URI": f"/trac{path}",
                "DOCUMENT_ROOT": "/var/empty",
                "SCRIPT_FILENAME": "/var/empty/trac",
            }
            reply = connection.send(request(given, body, keep=True)).reply()
            with self._lock:
                self._idle.append((time.monotonic(), connection))
            assert reply.ended == 0, reply
            return reply.status

    def _take(self) -> Front:
        with self._lock:
            while self._idle:
                _, connection = self._idle.pop()
                if not _has_ended(connection):
                    return connection
                connection.sock.close()
            self.opened += 1
        return Front(self._address)

    def expire(self) -> int:
        """Close what was idle for longer than it is kept; how many are left."""
        with self._lock:
            for entry in list(self._idle):
                if time.monotonic() - entry[0] > _KEPT_FOR or _has_ended(entry[1]):
                    entry[1].sock.close()
                    self._idle.remove(entry)
            return len(self._idle)


def _has_ended(connection: Front) -> bool:
    connection.sock.setblocking(False)
    try:
        return connection.sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.sock.settimeout(20)


def test_litespeed_keeps_ten_connections_to_two_instances(projects: Projects, place: Path) -> None:
    path = place / "s"
    with shared(place / "app.log", path, 2, "trac", "--env", projects.single) as instances:
        front = LiteSpeed(str(path))
        assert front.ask("/wiki") == 200
        crowd = Crowd()

        def ask(number: int) -> None:
            assert front.ask("/wiki" if number % 3 == 0 else "/chrome/common/css/trac.css") == 200

        crowd.run(20, 5, ask)
        assert not crowd.failures and crowd.longest < 10, crowd
        assert front.ask("/wiki", b"x=y") == 400, "a form without its token"
        until(lambda: front.expire() == 0)
        # Of each only the listener and the pair that wakes it for a signal.
        until(lambda: [len(holds_open(pid, "socket:")) for pid in instances] == [3, 3])
        assert front.ask("/wiki") == 200


def test_cherokee_asks_over_scgi(projects: Projects, place: Path) -> None:
    port, reservation = reserve_port()
    with reservation:
        address = ("127.0.0.1", port)
        words = ["trac", "--env", projects.single, "--protocol", "scgi", "--bind", f"127.0.0.1:{port}"]
        process = Process([*program(), "app", *map(str, words)], address, place / "app.log", HOME=str(place))
        try:
            for mount, uri in (("", "/wiki"), ("/trac", "/trac/wiki")):
                given = {
                    "SERVER_SOFTWARE": "Cherokee",
                    "SCRIPT_NAME": mount,
                    "REQUEST_URI": uri,
                    **{name: value for name, value in parameters("/wiki").items() if name != "SCRIPT_NAME"},
                }
                status, headers, body = scgi(address, given)
                assert status == 200 and f'href="{mount}/timeline"'.encode() in body, process.log()
                assert headers["content-length"] == str(len(body))
            status, headers, _ = scgi(address, {**parameters("/login"), "REMOTE_USER": "joe"})
            assert status == 302 and "trac_auth=" in headers["set-cookie"]
            assert process.stop() == 0
        finally:
            process.end()
