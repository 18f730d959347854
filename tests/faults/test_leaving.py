"""Clients that leave at each stage of a request: what has not begun never runs, and nothing stays behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import load, nothing_lost, serve_scripted, wait_for_load, wait_for_queue
from tests.http_client import Wire
from tests.waiting import until


def leave(wire: Wire, how: str) -> None:
    if how == "reset":
        wire.reset()
    else:
        wire.close()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_at_each_stage(box: Box, place: Path, how: str) -> None:
    serve_scripted(
        box,
        place,
        more=f'server.modules += ( "mod_accesslog" )\naccesslog.filename = "{box.directory}/access.log"',
    )
    ran = place / "ran"
    ran.touch()
    ran.chmod(0o666)
    front = box.front_pid()
    with nothing_lost(box):
        # The head, and nothing of the body, and half of it in memory, and half of it on the disk.
        for sent in (
            b"GE",
            b"GET /app?mark=%b HTTP/1.1\r\nHost: a\r\nX-" % bytes(ran),
            b"POST /app?mark=%b HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" % bytes(ran),
            b"POST /app?mark=%b HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\nhalf" % bytes(ran),
            b"POST /app?mark=%b HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" % bytes(ran)
            + bytes(200_000),
            b"POST /app?mark=%b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf"
            % bytes(ran),
        ):
            wire = box.wire()
            wire.send(sent)
            leave(wire, how)
        until(lambda: box.status()["front"]["data"]["connections"] == 0, 10, "a connection is left", box.log)
        # While it waits for a slot: it never runs.
        with box.wire(20) as busy:
            busy.request("GET", "/app?sleep=0.5")
            wait_for_load(box, 1)
            waiting = [box.wire() for _ in range(3)]
            for wire in waiting:
                wire.request("POST", f"/app?mark={ran}", body=bytes(100_000))
            wait_for_queue(box, 3)
            for wire in waiting:
                leave(wire, how)
            wait_for_queue(box, 0)
            assert busy.answer().status == 200
        assert ran.read_text() == "", "a request whose client had left has run"
        # While the application works: it runs to its end, the slot comes back.
        wire = box.wire()
        wire.request("GET", f"/app?sleep=0.3&mark={ran}")
        wait_for_load(box, 1)
        leave(wire, how)
        wait_for_load(box, 0)
        until(lambda: ran.read_text() == "ran\n")
        # In the middle of the answer, and with most of it spooled.
        for size in (300_000, 24 << 20):
            wire = box.wire()
            wire.request("GET", f"/app?stream={size}")
            assert wire.sock.recv(1000)
            leave(wire, how)
            wait_for_load(box, 0)
        # In the middle of a file.
        wire = box.wire()
        wire.request("GET", "/big.bin")
        assert wire.sock.recv(1000)
        leave(wire, how)
    assert box.front_pid() == front
    assert ran.read_text() == "ran\n"
    assert "Traceback" not in box.log()
    assert " 499 " in (box.directory / "access.log").read_text()


def test_the_script_of_a_client_that_left_delays_nobody(box: Box, place: Path) -> None:
    """Two processes: while one works for nobody the other one serves."""
    serve_scripted(box, place, processes=2)
    with nothing_lost(box, processes=2):
        wire = box.wire()
        wire.request("GET", "/app?sleep=2")
        wait_for_load(box, 1)
        started = time.monotonic()
        wire.reset()
        pids = {box.get("/app?hello").body for _ in range(20)}
        assert len(pids) == 1
        assert time.monotonic() - started < 1.8, "somebody waited for the script of a client that left"
        assert load(box) == 1
