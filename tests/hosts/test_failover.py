"""Hosts that cannot be reached: no client sees it while there is another one, the log says it once."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import pytest

from tests.box import Box
from tests.hosts.conftest import Start
from tests.hosts.site import configuration
from tests.server import reserve_port
from tests.waiting import until


def test_the_first_of_two_is_down_and_no_client_sees_it(box: Box, place: Path, start: Start) -> None:
    first, second = start("first"), start("second")
    box.serve(configuration(place, [first, second]))
    assert box.get("/").text == "first"
    first.stop()
    for number in range(4):
        answer = box.fetch(f"/{number}", method="POST", body=b"x" * 1000)
        assert (answer.status, answer.text) == (200, "second")
    box.wait_log("is down")
    log = box.log()
    assert log.count(f"127.0.0.1:{first.port} is down: Connection refused, errno 111") == 1
    assert "start the application, or mend the address" in log and "all hosts of" not in log
    first.start()
    until(lambda: box.get("/").text == "first", 10, "it does not come back", box.log, 0.1)
    box.wait_log(f"127.0.0.1:{first.port} is back after ")
    assert box.log().count(f"127.0.0.1:{first.port} is back after ") == 1


def test_all_are_down(box: Box, place: Path, start: Start) -> None:
    hosts = [start(name) for name in "abc"]
    box.serve(
        configuration(place, [*hosts, '( "socket" => "/nowhere/app.sock", "check-local" => "disable" )'])
    )
    for host in hosts:
        host.stop()
    for _ in range(3):
        answer = box.get("/")
        assert answer.status == 503 and answer.header("Retry-After") == "5"
    box.wait_log("all hosts of")
    log = box.log()
    [line] = [line for line in log.splitlines() if 'all hosts of "/" are down' in line]
    for host in hosts:
        assert f"127.0.0.1:{host.port} is down: Connection refused, errno 111" in line
    assert "unix:/nowhere/app.sock is down: No such file or directory, errno 2" in line
    assert "there is no such socket: start the application" in log
    hosts[1].start()
    until(lambda: box.get("/").status == 200, 10, "it does not come back", box.log, 0.1)
    box.wait_log('"/" has a host again')
    assert box.log().count('"/" has a host again') == 1


def test_one_host_alone(box: Box, place: Path) -> None:
    port, reservation = reserve_port()
    with reservation:
        box.serve(
            configuration(place, [f'( "host" => "127.0.0.1", "port" => {port}, "check-local" => "disable" )'])
        )
        assert box.get("/").status == 503
        line = box.wait_log("is down")
        assert re.search(
            rf"127\.0\.0\.1:{port} is down: Connection refused, errno 111; nothing listens there: start the"
            r" application, or mend the address \(.*box\.conf:\d+:\d+\); it is tried again after"
            r" disable-time = 1 s",
            line,
        )
        box.wait_log(f"answered with 503: 127.0.0.1:{port} is down: Connection refused")


def test_a_full_backlog_sends_a_request_to_the_next_host(box: Box, place: Path, start: Start) -> None:
    path = place / "full.sock"
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as fills:
        full.bind(str(path))
        path.chmod(0o777)
        full.listen(0)
        fills.connect(str(path))
        other = start("other")
        box.serve(configuration(place, [f'( "socket" => "{path}", "check-local" => "disable" )', other]))
        assert box.fetch("/", timeout=5).text == "other"
        box.wait_log("its backlog is full")


@pytest.mark.slow
def test_a_silent_machine_costs_one_connect_timeout_and_then_nobody_waits(
    box: Box, place: Path, start: Start
) -> None:
    # A backlog that is full drops what comes, as a firewall does.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        port = silent.getsockname()[1]
        fills = [socket.socket() for _ in range(3)]
        for sock in fills:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        other = start("other")
        entry = (
            f'( "host" => "127.0.0.1", "port" => {port}, "check-local" => "disable", "connect-timeout" => 1 )'
        )
        box.serve(configuration(place, [entry, other]))
        assert box.fetch("/").text == "other"
        line = box.wait_log(f"127.0.0.1:{port} is down")
        assert "nothing answered within connect-timeout = 1 s" in line
        # After disable-time one request finds out whether it is back, the others go on at once.
        threading.Event().wait(1.2)
        answers: list[str] = []
        probe = threading.Thread(target=lambda: answers.append(box.fetch("/probe").text))
        probe.start()
        until(lambda: box.status()["front"]["data"]["pools"], 5)
        for number in range(20):
            assert box.fetch(f"/{number}").text == "other"
        probe.join(20)
        assert answers == ["other"] and other.paths.count("/probe") == 1
        for sock in fills:
            sock.close()


def test_nothing_that_was_sent_goes_to_another_host(box: Box, place: Path, start: Start) -> None:
    first, second = start("first"), start("second")
    box.serve(configuration(place, [first, second]))
    assert box.get("/?drop").status == 502
    assert second.paths == [] and first.paths == ["/?drop"]


def test_a_choice_is_made_when_the_body_is_there(box: Box, place: Path, start: Start) -> None:
    first, second = start("first"), start("second")
    box.serve(configuration(place, [first, second]))
    with box.wire() as one, box.wire() as other:
        for wire in (one, other):
            wire.send(b"POST /?sleep=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        for wire in (one, other):
            wire.send(b"cd")
        assert {one.answer().text, other.answer().text} == {"first", "second"}
