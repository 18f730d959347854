"""Applications that misbehave, clients that leave, and reloads in between: no slot is lost, no silence."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import serve_scripted
from tests.http_client import ProtocolViolation, Wire, basic
from tests.waiting import until


def test_garbage_for_a_client_that_left_costs_no_slot(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    with box.wire() as wire:
        wire.request("GET", "/app?garbage=0.3")
        until(lambda: box.status()["front"]["data"]["pools"]["app"]["processes"]["app-0"] == 1)
    assert box.fetch("/app?hello", timeout=15).status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_cut_answer_does_not_look_complete(box: Box, place: Path, version: str) -> None:
    serve_scripted(box, place)
    with box.wire() as wire:
        wire.send(f"GET /app?cut=300000 HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        received = b""
        error = ""
        while not error:
            try:
                data = wire.sock.recv(65536)
            except ConnectionResetError:
                error = "reset"
                break
            if not data:
                break
            received += data
    if version == "1.0":
        assert error == "reset", "an ordinary end would be the end of the body"
    else:
        assert b"Transfer-Encoding: chunked" in received
        assert not received.endswith(b"0\r\n\r\n")


def test_a_healthy_answer_survives_a_slow_reader(box: Box, place: Path) -> None:
    serve_scripted(box, place, ', "read-timeout" => 2')
    size = 24 << 20
    with box.wire(timeout=20) as wire:
        wire.request("GET", f"/app?stream={size}")
        assert wire.sock.recv(1000)
        # Longer than read-timeout: it is the client that pauses, the application is well.
        assert not threading.Event().wait(4)
        received = 0
        while data := wire.sock.recv(1 << 20):
            received += len(data)
            if data.endswith(b"0\r\n\r\n"):
                break
    assert received > size


def test_a_reload_leaves_no_kept_client_without_an_answer(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    with box.wire(timeout=20) as wire:
        wire.request("GET", "/big.bin")
        assert wire.sock.recv(65536)
        old = box.front_pid()
        box.signal(signal.SIGHUP)
        box.wait_front(old)
        # The download goes on in the old front, which has given its slots away meanwhile.
        received = 65536
        while received < 8 << 20 and (data := wire.sock.recv(1 << 20)):
            received += len(data)
        assert received >= 8 << 20
        assert wire.closed(20), "the front that leaves ends the connection"
    assert box.fetch("/app?hello", timeout=5).status == 200


def test_a_login_that_is_checked_during_a_reload_is_answered(box: Box, place: Path) -> None:
    file = place / "users"
    assert box.run("passwd", file, "joe", stdin="joepw\n").returncode == 0
    serve_scripted(box, place)
    path = box.directory / "box.conf"
    path.write_text(
        path.read_text()
        + f"""
        auth.backend = "htpasswd"
        auth.backend.htpasswd.userfile = "{file}"
        auth.require = ( "/app" => ( "method" => "basic", "realm" => "r", "require" => "valid-user" ) )
        """
    )
    box.reload()
    assert box.get("/app").status == 401
    statuses: list[int] = []

    def ask(number: int) -> None:
        with Wire(box.address, 20) as wire:
            answer = wire.get("/app?hello", {"Authorization": basic("joe", "joepw" if number else "wrong")})
            statuses.append(answer.status)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    old = box.front_pid()
    box.signal(signal.SIGHUP)
    box.wait_front(old)
    for thread in threads:
        thread.join(25)
    assert sorted(statuses) == [200, 200, 200, 401]


def test_large_heads_and_odd_beginnings(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    with box.wire() as wire:
        assert wire.get("/small.txt", {"X-Large": "x" * 200_000}).status == 200
    for octets in (b" GET / HTTP/1.1\r\n", b"\x01"):
        with box.wire(timeout=5) as wire:
            assert wire.send(octets).answer().status == 400
    with box.wire() as wire, pytest.raises(ProtocolViolation):
        wire.send(b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").answer()
        wire.answer()


def test_a_host_without_an_address_is_said_and_answered(box: Box, place: Path) -> None:
    (place / "small.txt").write_text("small")
    box.serve(f"""
        server.modules = ( "mod_fastcgi" )
        server.document-root = "{place}"
        fastcgi.server = ( "/app" => (( "host" => "nowhere.invalid", "port" => 9000,
            "check-local" => "disable" )) )
        """)
    box.wait_log("no address for the host 'nowhere.invalid'")
    assert box.get("/app").status == 503
    assert box.get("/small.txt").status == 200
