"""The active check: a host that answers badly is out before a client meets it, and back without one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.box import Box
from tests.hosts.conftest import Start
from tests.hosts.site import configuration
from tests.server import reserve_port
from tests.waiting import until


@pytest.mark.holds("check", "check-interval")
def test_a_host_whose_check_fails_is_out_until_it_succeeds(box: Box, place: Path, start: Start) -> None:
    first, second = start("first"), start("second")
    checked = f'{first.entry}, "check" => "/ping?deep", "check-interval" => 1 )'
    box.serve(configuration(place, [checked, second]))
    until(lambda: "/ping?deep" in first.paths, 10, "it is not asked", box.log)
    assert box.get("/").text == "first"
    first.status = 500
    line = box.wait_log('the check "/ping?deep" failed 2 times')
    assert "its answer was 500" in line and "until a check succeeds" in line
    assert {box.get(f"/{number}").text for number in range(5)} == {"second"}
    first.stop()
    first.status = 200
    first.start()
    box.wait_log(f"127.0.0.1:{first.port} is back")
    assert box.get("/").text == "first"
    assert second.paths == [f"/{number}" for number in range(5)], "who has no check is not asked"


def test_no_client_tries_a_host_that_is_checked(box: Box, place: Path, start: Start) -> None:
    first, second = start("first"), start("second")
    checked = f'{first.entry}, "check" => "values", "check-interval" => 1 )'
    box.serve(configuration(place, [checked, second]))
    until(lambda: first.values, 10, "it is not asked", box.log)
    first.stop()
    assert box.get("/").text == "second"
    box.wait_log(f"127.0.0.1:{first.port} is down")
    tries = box.log().count("goes out again")
    for _ in range(30):
        assert box.get("/").text == "second"
    assert box.log().count("goes out again") == tries <= 1
    first.start()
    box.wait_log(f"127.0.0.1:{first.port} is back")
    assert box.get("/").text == "first" and first.paths == ["/"]


@pytest.mark.parametrize("question", ["values", "/ping.php"])
def test_php_answers_a_check(box: Box, place: Path, question: str) -> None:
    (place / "ping.php").write_text("<?php echo 'pong';")
    port, reservation = reserve_port()
    with reservation, subprocess.Popen(["php-cgi", "-b", f"127.0.0.1:{port}"]) as php:
        entry = (
            f'( "host" => "127.0.0.1", "port" => {port}, "docroot" => "{place}", "check-local" => "disable"'
        )
        box.serve(configuration(place, [f'{entry}, "check" => "{question}", "check-interval" => 1 )']))
        until(lambda: box.get("/ping.php").text == "pong", 20, "it is not up", box.log)
        assert "failed 2 times" not in box.log()
        php.terminate()
        php.wait()
        box.wait_log("is down", 20)
