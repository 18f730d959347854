"""WebSockets through FastCGI and SCGI: a real client, the real server, an application that speaks them."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from appliance.gateway.records import END_REQUEST, STDIN, STDIN_END, STDOUT, record
from tests.box import Box
from tests.gateway.web_socket import WebSocketApplication
from tests.http_client import Answer, Wire
from tests.waiting import until

ASK = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}


class Site:
    """fcgibox before the application."""

    def __init__(self, directory: Path, protocol: str) -> None:
        path = directory / "application.sock"
        self.application = WebSocketApplication(path, protocol)
        common = f'"socket" => "{path}", "check-local" => "disable"'
        self.box = Box(directory / "box").serve(
            f'server.document-root = "{directory}"\n'
            f'server.modules = ("mod_{protocol}", "mod_accesslog", "mod_status")\n'
            'status.statistics-url = "/statistics"\n'
            f'accesslog.filename = "{directory}/access.log"\n'
            f"{protocol}.server = (\n"
            f'  "/ws" => (( {common}, "upgrade" => "enable" )),\n'
            f'  "/impatient" => (( {common}, "upgrade" => "enable", "read-timeout" => 1 )),\n'
            f'  "/plain" => (( {common} )) )\n'
        )
        self.access_log = directory / "access.log"

    def close(self) -> None:
        self.box.end()
        self.application.close()

    def connect(self, path: str = "/ws") -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.box.port}{path}", max_size=None, compression=None)

    @property
    def load(self) -> int:
        """Requests at work, as the front counts them."""
        lines = self.box.fetch("/statistics").text.splitlines()
        return int(dict(line.split(": ") for line in lines)["gw.active-requests"])

    def wait_over(self, end: str | tuple[str, ...]) -> None:
        """Wait until the application has seen this end and its slot is free."""
        ends = (end,) if isinstance(end, str) else end
        until(
            lambda: self.application.ends and self.application.ends[-1] in ends,
            problem="no end",
            details=lambda: str(self.application.ends),
        )


@pytest.fixture(scope="module", params=["fastcgi", "scgi"])
def both_sites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("upgrade"), request.param)
    yield site
    site.close()


@pytest.fixture
def site(both_sites: Site) -> Iterator[Site]:
    application = both_sites.application
    application.ends.clear()
    application.refuse = False
    yield both_sites
    application.listening.set()


@pytest.mark.holds("upgrade")
def test_messages_both_ways(site: Site) -> None:
    with site.connect() as client:
        client.send("hello")
        assert client.recv(10) == "hello"
        large = bytes(range(256)) * 8192
        client.send(large)
        assert client.recv(30) == large
        assert client.ping().wait(10)
        for number in range(200):
            client.send(str(number))
        assert [client.recv(10) for _ in range(200)] == [str(number) for number in range(200)]
    site.wait_over("closed")
    variables = site.application.variables
    assert (variables["HTTP_UPGRADE"], variables["HTTP_CONNECTION"]) == ("websocket", "Upgrade")
    until(lambda: '"GET /ws HTTP/1.1" 101' in site.access_log.read_text(), problem="not in the access log")


def test_the_application_closes(site: Site) -> None:
    with site.connect() as client:
        client.send("close")
        with pytest.raises(ConnectionClosedOK) as caught:
            client.recv(10)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1000, "as ordered")
    site.wait_over("closed")


@pytest.mark.parametrize("order", ["end", "die"])
def test_the_application_leaves_without_a_word(site: Site, order: str) -> None:
    with site.connect() as client:
        client.send("first")
        client.send(order)
        assert client.recv(10) == "first"
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    site.wait_over(order)


def test_the_client_vanishes(site: Site) -> None:
    client = site.connect()
    client.send("hello")
    assert client.recv(10) == "hello"
    with _raw(site) as wire:
        wire.reset()
    site.wait_over(("end of input", "ConnectionResetError"))
    client.close()


def test_the_client_half_closes(site: Site) -> None:
    """It becomes the end of STDIN; what the application says after it still arrives."""
    with _raw(site) as wire:
        wire.finish_sending()
        assert wire.closed()
    site.wait_over("end of input")


def test_octets_right_behind_the_request_are_the_applications(site: Site) -> None:
    """A client that does not wait for the 101."""
    message = b"\x81\x85\0\0\0\0hello"
    with site.box.wire() as wire:
        wire.send(_handshake() + message)
        assert wire.any_answer().status == 101
        assert wire.octets(7) == b"\x81\x05hello"


def test_a_slow_client_slows_the_application(site: Site) -> None:
    """Neither memory nor disk takes what it does not read."""
    messages = 1024
    with _raw(site) as wire:
        before = _resident(site.box.front_pid())
        wire.send(_masked(b"flood %d" % (messages << 16), text=True))
        head = wire.octets(10)  # then it waits for us
        assert head == b"\x82\x7f" + (65536).to_bytes(8, "big")
        assert _resident(site.box.front_pid()) - before < 4 << 20
        for left in range(messages, 0, -1):
            assert wire.octets(65536) == b"x" * 65536
            if left > 1:
                assert wire.octets(10) == head
            if left % 128 == 0:
                assert _resident(site.box.front_pid()) - before < 4 << 20


def test_a_slow_application_slows_the_client(site: Site) -> None:
    """Nothing that it does not take is collected."""
    with _raw(site) as wire:
        wire.send(_masked(b"deaf", text=True))
        before = _resident(site.box.front_pid())
        wire.sock.settimeout(1)
        sent = 0
        piece = _masked(b"x" * 65536)
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                wire.sock.sendall(piece)
                sent += len(piece)
        assert sent < 16 << 20
        assert _resident(site.box.front_pid()) - before < 4 << 20


def test_a_silent_application_is_cut(site: Site) -> None:
    """read-timeout, as for any answer."""
    with site.connect("/impatient") as client:
        client.send("hello")
        assert client.recv(10) == "hello"
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    site.box.wait_log("the application was silent for 1 s")


def test_an_application_that_declines(site: Site) -> None:
    site.application.refuse = True
    with pytest.raises(InvalidStatus) as caught:
        site.connect()
    assert (caught.value.response.status_code, caught.value.response.body) == (200, b"no socket here")
    with site.box.wire() as wire:
        for _ in range(3):  # the client's connection goes on
            assert wire.get("/ws", ASK).body == b"no socket here"


@pytest.mark.parametrize(
    ("target", "raw"),
    [
        ("/plain", b"GET /plain HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        ("/ws", b"GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        ("/ws", b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"),
        ("/ws", b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        (
            "/ws",
            b"POST /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Content-Length: 3\r\n\r\nabc",
        ),
    ],
)
def test_requests_that_cannot_change(site: Site, target: str, raw: bytes) -> None:
    with site.box.wire() as wire:
        answer: Answer = wire.send(raw).answer("GET")
    assert answer.body == b"no socket here"
    assert "HTTP_UPGRADE" not in site.application.variables


def test_a_101_that_nobody_asked_for_is_no_answer(site: Site) -> None:
    answer = site.box.fetch("/plain?switch")
    assert answer.status == 502
    site.box.wait_log("status 101, which only a web server may send")


def test_slots_are_free_afterwards(site: Site) -> None:
    until(lambda: site.load == 0, problem="a slot is lost before")
    clients = [site.connect() for _ in range(5)]
    assert site.load == 5
    for client in clients:
        client.close()
    until(lambda: site.load == 0, problem="a slot is lost")


TEXT = """
server.document-root = "DIRECTORY"
server.modules = ("mod_fastcgi")
fastcgi.server = ( "/" =>
  (( "socket" => "DIRECTORY/a.sock", "check-local" => "disable", "upgrade" => "enable" )) )
"""


@pytest.fixture
def application(tmp_path: Path) -> Iterator[WebSocketApplication]:
    application = WebSocketApplication(tmp_path / "a.sock", "fastcgi")
    yield application
    application.close()


@pytest.mark.usefixtures("application")
def test_a_client_that_is_silent_is_cut(tmp_path: Path) -> None:
    with Box(tmp_path / "box") as box:
        box.serve(TEXT.replace("DIRECTORY", str(tmp_path)) + "server.max-read-idle = 1\n")
        with connect(f"ws://127.0.0.1:{box.port}/") as client, pytest.raises(ConnectionClosed):
            client.recv(10)
        box.wait_log("the client was silent for 1 s")


@pytest.mark.slow
def test_a_leaving_front_ends_tunnels_at_its_limit(tmp_path: Path, application: WebSocketApplication) -> None:
    with Box(tmp_path / "box") as box:
        box.serve(TEXT.replace("DIRECTORY", str(tmp_path)))
        with connect(f"ws://127.0.0.1:{box.port}/") as client:
            box.signal(signal.SIGTERM)
            box.wait_log("stop")
            client.send("still here")
            assert client.recv(10) == "still here"
            with pytest.raises(ConnectionClosed):
                client.recv(60)
        assert box.wait_end() == 0
    assert application.ends == ["end of input"]


def _handshake(target: str = "/ws") -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


@contextlib.contextmanager
def _raw(site: Site) -> Iterator[Wire]:
    """An open web socket whose octets are ours."""
    with site.box.wire() as wire:
        answer = wire.send(_handshake()).any_answer()
        assert answer.status == 101
        assert answer.header("Upgrade") == "websocket"
        assert answer.header("Connection") == "Upgrade"
        yield wire


def _masked(data: bytes, *, text: bool = False) -> bytes:
    """A message of a client, with a mask of zeros."""
    first = b"\x81" if text else b"\x82"
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + len(data).to_bytes(8, "big")
    return first + size + bytes(4) + data


def _resident(pid: int) -> int:
    """Octets of memory that a process has at the moment."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_dead_kept_connection(tmp_path: Path) -> None:
    """The handshake goes out again on a new one as it was: without an end of its input."""
    with socket.socket(socket.AF_UNIX) as listener, Box(tmp_path / "box") as box:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen(8)
        listener.settimeout(10)
        box.serve(
            f'server.document-root = "{tmp_path}"\nserver.modules = ("mod_fastcgi")\n'
            f'fastcgi.server = ("/" => (("socket" => "{tmp_path}/a.sock", "check-local" => "disable",\n'
            '  "upgrade" => "enable", "keep-connections" => 1)))\n'
        )
        with box.wire() as wire:
            wire.request("GET", "/first")
            kept, _ = listener.accept()
            kept.settimeout(10)
            while not kept.recv(65536).endswith(STDIN_END):
                pass
            kept.sendall(record(STDOUT, b"\r\nfirst") + record(END_REQUEST, bytes(8)))
            assert wire.answer().body == b"first"
            wire.send(_handshake())
            kept.recv(1)
            kept.close()  # with octets that nobody has read: a reset
            fresh, _ = listener.accept()
            with fresh:
                fresh.settimeout(10)
                asked = fresh.recv(65536)
                assert asked[10] == 0  # flags: the connection is not kept
                assert not asked.endswith(STDIN_END)
                fresh.sendall(record(STDOUT, b"Status: 101\r\nUpgrade: websocket\r\n\r\n"))
                assert wire.any_answer().status == 101
                wire.send(b"hello")
                assert fresh.recv(65536) == record(STDIN, b"hello")
