"""Every configuration of lighttpd's page about mod_fastcgi, run by our server and by lighttpd."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.lighttpd import Lighttpd
from tests.programs.listings import LARGE_LISTINGS, LISTINGS, Listing
from tests.programs.page import Place, together
from tests.programs.programs import PROGRAMS
from tests.server import Server, reserve_port

_MODULES = 'server.modules = ( "mod_fastcgi" )\n'
_ALL = {**LISTINGS, **LARGE_LISTINGS}


class Remote:
    """A program that somebody else started, three times, each on a port of its own."""

    def __init__(self, program: Path) -> None:
        self.ports: list[int] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        for _ in range(3):
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen(64)
                self.ports.append(listener.getsockname()[1])
                self.processes.append(subprocess.Popen([program], stdin=listener.fileno(), env={}))

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class Site:
    """Both servers with all listings of a group, each for the host of its name."""

    def __init__(self, directory: Path, listings: dict[str, Listing]) -> None:
        self._place = Place(directory)
        PROGRAMS["php"].build(self._place)
        PROGRAMS["single"].build(self._place)
        for name in ("a.php", "a.php3", "a.php4"):
            shutil.copy(self._place.www / "hello.php", self._place.www / name)
        self.remote = Remote(self._place.programs / "hello")
        self.box = Box(directory / "box").serve(self._text("box", listings))
        self.lighttpd = Lighttpd(directory / "lighttpd").serve(self._text("lighttpd", listings))

    def _text(self, server: str, listings: dict[str, Listing]) -> str:
        return together(
            {
                name: _MODULES + self.filled(listing.text, f"{server}-{name}")
                for name, listing in listings.items()
            },
            str(self._place.www),
        )

    def filled(self, text: str, name: str) -> str:
        """A listing with paths and ports; `name` keeps sockets apart."""
        ports = []
        for _ in range(4):  # processes of one pool count on from the first port
            port, reservation = reserve_port()
            reservation.close()
            ports.append(port)
        values = {
            "PHP": "/usr/bin/php-cgi",
            "PCC": str(self._place.programs / "hello"),
            "SOCKET": str(self._place.sockets / f"{name}.sock"),
            "PORT": str(ports[0]),
            **{f"REMOTE{number}": str(port) for number, port in enumerate(self.remote.ports, 1)},
        }
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        return text

    def end(self) -> None:
        self.box.end()
        self.lighttpd.end()
        self.remote.end()


@pytest.fixture(scope="module")
def sites() -> Iterator[Callable[[str], Site]]:
    """The site that a listing is in; made when it is asked for."""
    directory = Path(tempfile.mkdtemp(prefix="fcgibox-", dir="/tmp"))
    directory.chmod(0o755)
    made: dict[bool, Site] = {}

    def site(name: str) -> Site:
        large = name in LARGE_LISTINGS
        if large not in made:
            made[large] = Site(directory / str(large), LARGE_LISTINGS if large else LISTINGS)
        return made[large]

    yield site
    for one in made.values():
        one.end()
        print(one.box.log())
    shutil.rmtree(directory, ignore_errors=True)


def told(server: Server, name: str, path: str) -> dict[str, str]:
    """What an application was told."""
    answer = server.fetch(f"{path}?env", headers=[("Host", name)])
    assert answer.status == 200, server.log()
    return dict(line.split("=", 1) for line in answer.text.splitlines() if "=" in line)


@pytest.mark.parametrize(
    "name", [*LISTINGS, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE_LISTINGS)]
)
def test_a_listing_runs(sites: Callable[[str], Site], name: str) -> None:
    site = sites(name)
    for path, expected in _ALL[name].asked.items():
        for server in (site.lighttpd, site.box):
            found = told(server, name, path)
            assert {key: found.get(key) for key in expected} == expected, type(server).__name__


@pytest.mark.slow
def test_only_the_environment_that_was_named_is_copied(sites: Callable[[str], Site]) -> None:
    found = told(sites("php-environment").box, "php-environment", "/a.php/x")
    assert not {"LC_ALL", "PYTHONPATH", "HOME"} & set(found)
    assert found["PATH"]


@pytest.mark.parametrize("name", ["host-policy", pytest.param("fastcgi-opts", marks=pytest.mark.slow)])
def test_a_host_that_is_down_is_not_noticed(sites: Callable[[str], Site], box: Box, name: str) -> None:
    site = sites(name)
    text = site.filled(LISTINGS[name].text, "alone")
    down, reservation = reserve_port()  # bound, and nobody listens
    box.serve(f'server.document-root = "/"\n{_MODULES}{text.replace(str(site.remote.ports[0]), str(down))}')
    for _ in range(6):
        assert box.fetch("/x.php?env").status == 200, box.log()
    reservation.close()


def test_at_most_thirty_processes_on_a_named_socket(box: Box, lighttpd: Lighttpd, place: Path) -> None:
    """The reference's own number: four of them are started, more when they are needed."""
    here = Place(place / "site")
    PROGRAMS["single"].build(here)

    def text(name: str) -> str:
        return (
            f'server.document-root = "/"\n{_MODULES}var.socket_dir = "{here.sockets}/"\n'
            'fastcgi.server = (\n  "/login" => (\n    "test.fastcgi.handler" => (\n'
            f'      "socket" => socket_dir + "{name}.socket",\n      "check-local" => "disable",\n'
            f'      "bin-path" => "{here.programs}/hello",\n      "max-procs" => 30,\n    )\n  )\n)\n'
        )

    box.serve(text("box"))
    lighttpd.serve(text("lighttpd"))
    started = len(lighttpd.descendants()) - 1
    assert (len(box.application_pids()), started) == (4, 4)
    for server in (box, lighttpd):
        found = server.fetch("/login/x?env").text.splitlines()
        assert {"SCRIPT_NAME=/login", "PATH_INFO=/x"} <= set(found)
    assert box.stop() == 0
    box.wait_nothing_left()
