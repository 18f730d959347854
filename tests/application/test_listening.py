"""Where an application process listens, who may connect, and how it stops."""

from __future__ import annotations

import contextlib
import grp
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.application import listening
from appliance.errors import UserError
from tests.application import front
from tests.application.front import Front, parameters, request
from tests.box import clean_environment
from tests.waiting import until


def test_a_socket_with_its_mode_and_group(place: Path) -> None:
    path = place / "s"
    group = grp.getgrgid(os.getgid()).gr_name
    with listening.on_path(str(path), "606", group) as listener:
        assert path.stat().st_mode & 0o777 == 0o606
        assert listener.getsockname() == str(path)
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_live_one_refused(place: Path) -> None:
    path = str(place / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with (
        listening.on_path(path, None, None),
        pytest.raises(UserError, match=f"another process listens on the socket {path}"),
        listening.on_path(path, None, None),
    ):
        raise AssertionError("two listen on one path")


def test_a_file_that_is_no_socket_is_left_alone(place: Path) -> None:
    (place / "file").write_text("precious")
    with (
        pytest.raises(UserError, match="is not a socket"),
        listening.on_path(str(place / "file"), None, None),
    ):
        pass
    assert (place / "file").read_text() == "precious"


def test_a_successors_socket_is_not_removed(place: Path) -> None:
    path = place / "s"
    with listening.on_path(str(path), None, None):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))
    assert path.exists()


@pytest.mark.parametrize(
    ("mode", "group", "message"),
    [
        ("99", None, "--socket-mode 99"),
        ("7777", None, "octal"),
        (None, "no-such-group", "there is no such group"),
    ],
)
def test_wrong_permissions_are_errors(place: Path, mode: str | None, group: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message), listening.on_path(str(place / "s"), mode, group):
        pass
    assert not (place / "s").exists()


@pytest.mark.parametrize("text", ["9000", ":9000", "::1:9000", "127.0.0.1:", "127.0.0.1:99999", "[::1]9000"])
def test_a_malformed_address(text: str) -> None:
    with pytest.raises(UserError, match="--bind"), listening.on_address(text):
        pass


def test_a_taken_port() -> None:
    with listening.on_address("127.0.0.1:0") as first:
        port = first.getsockname()[1]
        with (
            pytest.raises(
                UserError, match=f"cannot listen on 127.0.0.1:{port}.*another program listens there"
            ),
            listening.on_address(f"127.0.0.1:{port}"),
        ):
            pass


_ON_DESCRIPTOR_0 = """
from appliance.application import listening
from appliance.application.lifetime import Stop
from appliance.application.server import Server
from tests.application.applications import by_path
with listening.inherited() as listener:
    Server(by_path, listener, "fcgi", Stop(ignore_interrupt=False)).run()
"""


@contextlib.contextmanager
def inherited(listener: socket.socket, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the listener on descriptor 0, as a web server starts it (FastCGI 1.0 section 2.2)."""
    listener.listen(8)
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _ON_DESCRIPTOR_0],
            stdin=listener.fileno(),
            stderr=errors,
            env={**clean_environment(), **environment},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("allowed", "answered"),
    [("127.0.0.1", True), ("::1, 127.0.0.1", True), ("192.0.2.1", False), (None, True)],
)
def test_who_may_connect_over_tcp(place: Path, allowed: str | None, answered: bool) -> None:
    variables = {} if allowed is None else {"FCGI_WEB_SERVER_ADDRS": allowed}
    with socket.create_server(("127.0.0.1", 0)) as listener, inherited(listener, place / "log", **variables):
        with Front(listener.getsockname()) as connection, contextlib.suppress(BrokenPipeError):
            connection.send(request(parameters("/echo")))
            assert (connection.reply().status == 200) is answered
        if not answered:
            until(lambda: "127.0.0.1 refused: FCGI_WEB_SERVER_ADDRS" in (place / "log").read_text())


def test_a_malformed_list_of_web_servers(place: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        inherited(listener, place / "log", FCGI_WEB_SERVER_ADDRS="localhost") as process,
    ):
        assert process.wait(10) == 1
    assert "FCGI_WEB_SERVER_ADDRS='localhost'" in (place / "log").read_text()


def test_over_a_unix_socket_the_list_means_nothing(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "s"))
        with (
            inherited(listener, place / "log", FCGI_WEB_SERVER_ADDRS="192.0.2.1"),
            Front(str(place / "s")) as connection,
        ):
            assert connection.ask("/echo").status == 200


def test_what_the_application_starts_does_not_inherit_the_listener(place: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        inherited(listener, place / "log") as process,
        Front(listener.getsockname()) as connection,
    ):
        assert connection.ask("/echo").status == 200
        assert os.readlink(f"/proc/{process.pid}/fd/0") == "/dev/null"


def test_two_processes_share_a_listener(place: Path) -> None:
    # The one that is busy takes no connection away from the one that is free.
    marker = place / "busy"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        inherited(listener, place / "log1"),
        inherited(listener, place / "log2"),
        Front(listener.getsockname()) as busy,
    ):
        busy.send(request(parameters(f"/slow?{marker}")))
        until(marker.exists)
        for _ in range(20):
            with Front(listener.getsockname()) as connection:
                assert connection.ask("/echo").status == 200
        marker.unlink()
        assert busy.reply().body == b"done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_lets_the_running_request_finish(place: Path, number: signal.Signals) -> None:
    marker = place / "running"
    with front.wsgi(place) as process, process.connect() as connection, process.connect() as kept:
        assert kept.ask("/echo", keep=True).status == 200
        connection.send(request(parameters(f"/slow?{marker}"), keep=True))
        until(marker.exists)
        process.process.send_signal(number)
        process.process.send_signal(number)
        marker.unlink()
        assert connection.reply().body == b"done"
        assert process.process.wait(10) == 0
        assert connection.closed() and kept.closed()
        assert not Path(str(process.address)).exists()


def test_an_idle_process_stops_at_once(place: Path) -> None:
    with front.wsgi(place) as process, process.connect():
        assert process.stop() == 0


def test_a_request_that_is_already_there_is_answered_before_the_end(place: Path) -> None:
    marker = place / "running"
    with front.wsgi(place) as process, process.connect() as first, process.connect() as second:
        assert second.ask("/echo", keep=True).status == 200, "now both are accepted"
        first.send(request(parameters(f"/slow?{marker}")))
        until(marker.exists)
        second.send(request(parameters("/echo"), keep=True))
        process.process.send_signal(signal.SIGTERM)
        marker.unlink()
        assert first.reply().body == b"done"
        assert second.reply().status == 200
        assert process.process.wait(10) == 0
