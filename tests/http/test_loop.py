"""The contract with gevent's internal watchers that `http.loop` relies on; gevent is pinned, this says what
for.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import gevent
import pytest

from appliance.http.loop import READ, WRITE, Loop, WorkerPool, guarded


class Peer:
    """Something with a guarded callback."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action
        self.traces: list[str] = []

    @guarded
    def on_ready(self) -> None:
        self.action()

    def failed(self, trace: str) -> None:
        self.traces.append(trace)


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def loop(reported: list[str]) -> Loop:
    return Loop(reported.append)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def turn_until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is true."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        gevent.sleep(0.01)


def test_readiness_is_level_triggered_and_can_be_paused(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    calls: list[int] = []
    peer = Peer(lambda: calls.append(1))
    watcher = loop.watcher(ours.fileno(), peer.on_ready)
    gevent.sleep(0.02)
    theirs.send(b"x")
    gevent.sleep(0.02)
    assert not calls, "a new watcher is paused"
    watcher.watch(READ)
    turn_until(lambda: len(calls) > 2)
    watcher.watch(0)
    count = len(calls)
    gevent.sleep(0.05)
    assert len(calls) == count
    watcher.watch(WRITE)
    turn_until(lambda: len(calls) > count)
    watcher.close()
    watcher.close()
    watcher.watch(READ)
    count = len(calls)
    gevent.sleep(0.05)
    assert len(calls) == count


def test_a_callback_that_raises_is_told_and_lives_on(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair

    def fail() -> None:
        ours.recv(1)
        raise RuntimeError("on purpose")

    peer = Peer(fail)
    watcher = loop.watcher(ours.fileno(), peer.on_ready)
    watcher.watch(READ)
    theirs.send(b"x")
    turn_until(lambda: len(peer.traces) == 1)
    theirs.send(b"x")
    turn_until(lambda: len(peer.traces) == 2)
    assert "on purpose" in peer.traces[0]
    watcher.close()


def test_only_guarded_callbacks_are_accepted(loop: Loop) -> None:
    with pytest.raises(TypeError, match="guarded"):
        loop.watcher(0, lambda: None)


def test_timers(loop: Loop, reported: list[str]) -> None:
    fired: list[str] = []
    started = time.monotonic()

    def fail() -> None:
        raise RuntimeError("a timer that fails")

    loop.call_later(0.05, fail)
    loop.call_later(0.2, lambda: fired.append("later"))
    loop.call_later(0.1, lambda: fired.append("cancelled")).cancel()
    loop.soon(lambda: fired.append("soon"))
    turn_until(lambda: "later" in fired)
    assert fired == ["soon", "later"]
    assert time.monotonic() - started >= 0.2
    assert "a timer that fails" in reported[0]
    loop.call_later(0.01, lambda: fired.append("again"))
    turn_until(lambda: fired[-1] == "again")


def test_work_runs_in_bounded_native_threads(loop: Loop) -> None:
    pool = WorkerPool(loop, threads=2, backlog=1)
    go = threading.Event()
    results: list[tuple[object, BaseException | None]] = []
    main = threading.get_ident()

    def work() -> tuple[int, int]:
        go.wait(5)
        return threading.get_ident(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def done(result: object, error: BaseException | None) -> None:
        assert threading.get_ident() == main
        results.append((result, error))

    assert [pool.submit(work, done) for _ in range(4)] == [True, True, True, False]
    go.set()
    turn_until(lambda: len(results) == 3)
    for result, error in results:
        assert error is None
        assert isinstance(result, tuple)
        assert result[0] != main
        assert result[1] >= 10
    assert pool.submit(lambda: 1 // 0, done)
    turn_until(lambda: len(results) == 4)
    assert isinstance(results[3][1], ZeroDivisionError)
