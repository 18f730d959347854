"""Reload, Ctrl-C, and running out of descriptors: nothing that runs is lost, and it recovers by itself."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.load import Load
from tests.faults.test_kills import serve_php
from tests.http_client import Wire, connect
from tests.waiting import until


def slow_download(box: Box, seconds: float, results: list[int]) -> None:
    """Read /big.bin (8 MiB) evenly over so many seconds."""
    sock = connect(box.address, 30)
    sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    received, started = 0, time.monotonic()
    while data := sock.recv(65536):
        received += len(data)
        ahead = seconds * received / (8 << 20) - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)
    results.append(received)


def test_reload_with_downloads_in_progress(box: Box, place: Path) -> None:
    serve_php(box, place, processes=1, children=2)
    results: list[int] = []
    downloads = [threading.Thread(target=slow_download, args=(box, 10, results)) for _ in range(10)]
    for thread in downloads:
        thread.start()
    load = Load(box.address, "/sleep.php?ms=20", 2)
    until(lambda: len(load.outcomes) > 20)
    for _ in range(3):
        old = box.front_pid()
        box.signal(signal.SIGHUP)
        box.wait_front(old)
        _wait_for_more(load)
    outcomes = load.stop()
    for thread in downloads:
        thread.join(40)
    assert len(results) == 10
    assert min(results) > 8 << 20, "every download is complete"
    assert {o.status for o in outcomes} == {200}
    slowest = sorted(o.seconds for o in outcomes)[-3:]
    print("slowest requests across three reloads:", slowest)


def _wait_for_more(load: Load) -> None:
    count = len(load.outcomes)
    until(lambda: len(load.outcomes) > count + 20)


def test_a_reload_with_an_error_changes_nothing(box: Box, place: Path) -> None:
    serve_php(box, place, processes=1, children=1)
    before = box.front_pid()
    path = box.directory / "box.conf"
    good = path.read_text()
    path.write_text(good + "\nserver.documentroot = 1\n")
    done = box.control("reload")
    assert done.returncode == 1
    assert "server.document-root" in done.stderr, "it says what was meant"
    assert box.front_pid() == before
    assert box.get("/small.txt").status == 200
    path.write_text(good)
    box.reload()


@pytest.mark.holds("server.max-fds")
def test_sixty_four_descriptors_and_two_hundred_clients(box: Box, place: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    box.program = ["prlimit", "--nofile=64:64", *box.program]
    serve_php(box, place, processes=1, children=1)
    wires: list[Wire] = []
    try:
        for _ in range(200):
            wire = Wire(box.address, 20)
            wire.send(b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n")
            wires.append(wire)
        assert wires[0].answer().status == 200
    finally:
        for wire in wires:
            wire.close()
    until(lambda: box.get("/small.txt").status == 200, 10, "it does not recover", box.log)
    assert box.get("/sleep.php").status == 200
    assert box.running()
    assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_ctrl_c_in_a_terminal_completes_the_request(box: Box, place: Path) -> None:
    serve_php(box, place, processes=1, children=1)
    words, environment = [*box.program, *box._words], box.environment
    box.stop()
    pid, terminal = pty.fork()
    if not pid:
        os.execvpe(words[0], words, environment)
    try:
        until(lambda: _answers(box), 20)
        load = Load(box.address, "/sleep.php?ms=1500", 1, limit=1)
        time.sleep(0.4)
        os.write(terminal, b"\x03")
        [outcome] = load.wait()
        assert outcome.status == 200
        until(lambda: os.waitpid(pid, os.WNOHANG)[0], 10, "it does not end")
    finally:
        os.close(terminal)


def _answers(box: Box) -> bool:
    try:
        return box.get("/small.txt").status == 200
    except OSError:
        return False


def test_a_second_signal_ends_it_now(box: Box, place: Path) -> None:
    serve_php(box, place, processes=1, children=1)
    load = Load(box.address, "/sleep.php?ms=20000", 1, limit=1)
    time.sleep(0.3)
    box.signal(signal.SIGTERM)
    time.sleep(1.2)  # equal signals within a second are one: a terminal and its wrapper send two
    assert box.running(), "it waits for the request"
    box.signal(signal.SIGTERM)
    box.wait_end(5)
    box.wait_nothing_left()
    load.wait()


def test_stop_by_command(box: Box, place: Path) -> None:
    serve_php(box, place, processes=1, children=1)
    done: subprocess.CompletedProcess[str] = box.control("stop")
    assert done.returncode == 0, done.stderr
    box.wait_end(10)
    box.wait_nothing_left()
