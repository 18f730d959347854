"""Connections that stay open to hosts of others: only where it is asked for, so many, and watched."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from tests.box import Box
from tests.hosts.conftest import Start
from tests.hosts.site import configuration
from tests.waiting import until


def test_none_unless_asked_for(box: Box, place: Path, start: Start) -> None:
    plain, capped = start("plain"), start("capped")
    box.serve(configuration(place, [plain, f'{capped.entry}, "slots" => 2 )'], "round-robin"))
    for _ in range(6):
        assert box.get("/").status == 200
    assert (plain.connections, capped.connections) == (3, 3)
    until(lambda: not plain.open_connections and not capped.open_connections, 10, "they stay open")


@pytest.mark.holds("keep-connections")
def test_as_many_as_asked_for(box: Box, place: Path, start: Start) -> None:
    host = start("host")
    box.serve(configuration(place, [f'{host.entry}, "keep-connections" => 2 )']))
    threads = [threading.Thread(target=lambda: box.get("/?sleep=0.5")) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    until(lambda: host.open_connections == 2, 10, "two stay")
    assert host.connections == 5
    for _ in range(5):
        assert box.get("/").text == "host"
    assert host.connections == 5, "they are used"
    assert box.fetch("/", method="POST", body=b"x").text == "host"
    assert host.connections == 6, "what must not run twice goes out on a new one"


def test_a_kept_connection_that_ends_is_noticed(box: Box, place: Path, start: Start) -> None:
    host = start("host")
    box.serve(configuration(place, [f'{host.entry}, "keep-connections" => 3 )']))
    assert box.get("/").text == "host"
    until(lambda: host.open_connections == 1, 10)
    host.stop()
    until(lambda: not host.open_connections, 10)
    host.start()
    for _ in range(3):
        assert box.get("/").status == 200
    assert "goes out again" not in box.log()


def test_a_leaving_front_closes_them(box: Box, place: Path, start: Start) -> None:
    host = start("host")
    box.serve(configuration(place, [f'{host.entry}, "keep-connections" => 3 )']))
    assert box.get("/").text == "host"
    until(lambda: host.open_connections == 1, 10)
    slow = threading.Thread(target=lambda: box.get("/?sleep=3"))
    slow.start()
    until(lambda: len(host.paths) == 2, 10)
    old = box.front_pid()
    box.reload()
    box.wait_front(old)
    slow.join(20)
    until(lambda: host.open_connections == 0, 10, "the old front keeps a connection")
    assert box.get("/").text == "host"


def test_the_kernel_asks_a_silent_machine_for_signs_of_life(box: Box, place: Path, start: Start) -> None:
    kept, plain = start("kept"), start("plain")
    box.serve(configuration(place, [f'{kept.entry}, "keep-connections" => 1 )', plain], "round-robin"))
    assert {box.get("/").text for _ in range(2)} == {"kept", "plain"}
    shown = subprocess.run(["ss", "-Htno", "state", "established"], capture_output=True, text=True).stdout
    lines = [line for line in shown.splitlines() if line.split()[3].endswith(f":{kept.port}")]
    assert lines and all("timer:(keepalive," in line for line in lines), shown
