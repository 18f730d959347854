"""The three cases of the reference's section on troubleshooting, with the cause and the remedy in the log."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.hosts.conftest import Start
from tests.hosts.site import configuration
from tests.http_client import connect
from tests.server import reserve_port
from tests.waiting import until


@pytest.fixture
def php(place: Path) -> Iterator[int]:
    """A php-cgi that wants to hear from 10.9.8.7 only; its port."""
    port, reservation = reserve_port()
    environment = {"PATH": os.environ["PATH"], "FCGI_WEB_SERVER_ADDRS": "10.9.8.7"}
    with reservation, (place / "php.log").open("wb") as log:
        words = ["php-cgi", "-b", f"127.0.0.1:{port}"]
        with subprocess.Popen(words, env=environment, stderr=log, stdout=log) as process:
            until(lambda: _listens(port), 20, "php-cgi does not listen")
            yield port
            process.terminate()


def _listens(port: int) -> bool:
    try:
        connect(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def test_closed_right_after_it_was_accepted(box: Box, place: Path, php: int) -> None:
    box.serve(
        configuration(place, [f'( "host" => "127.0.0.1", "port" => {php}, "check-local" => "disable" )'])
    )
    assert box.get("/").status in (502, 503)
    line = box.wait_log("FCGI_WEB_SERVER_ADDRS")
    assert f"127.0.0.1:{php} accepts connections and closes them" in line
    assert "FCGI_WEB_SERVER_ADDRS, in its environment, must name 127.0.0.1" in line


def test_nobody_on_that_port(box: Box, place: Path) -> None:
    port, reservation = reserve_port()
    entry = f'"php" => ( "host" => "127.0.0.1", "port" => {port}, "check-local" => "disable" )'
    with reservation:
        box.serve(configuration(place, [entry]))
        assert box.get("/").status == 503
    line = box.wait_log("is down")
    for part in ("php: ", f"127.0.0.1:{port}", "Connection refused, errno 111", "start the application"):
        assert part in line


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_delayed_connect_is_no_news(box: Box, place: Path, start: Start, level: str) -> None:
    host = start("a")
    box.serve(configuration(place, [host], more=f'fcgibox.error-log-level = "{level}"'))
    assert box.get("/").text == "a"
    if level == "debug":
        box.wait_log(f"connecting to 127.0.0.1:{host.port} was delayed, it succeeded")
    box.stop()
    assert ("was delayed" in box.log()) == (level == "debug")
