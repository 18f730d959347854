"""PHP started outside: by `fcgibox spawn` and by packaging/spawn-php.sh, and served by `fcgibox serve`."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import processes
from tests.box import ROOT, Box
from tests.server import reserve_port
from tests.spawn.spawner import ORIGINAL, OURS, SPAWNED
from tests.waiting import until

SCRIPT = ROOT / "packaging/spawn-php.sh"
PHP = "/usr/bin/php-cgi"
CHILDREN = 3
AS_ROOT = os.geteuid() == 0
USER = "www-data" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name

PAGE = """<?php
header("Content-Type: text/plain");
echo getmypid(), " ", ini_get("memory_limit"), " ", $_SERVER["REQUEST_URI"];
"""


class Php:
    """Starts PHP, and ends what it has started."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.site = place / "site"
        self.site.mkdir()
        (self.site / "index.php").write_text(PAGE)
        self.started: list[int] = []
        self._times: dict[int, int] = {}
        self.environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "ORACLE_HOME": "/opt/a b"}

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            list(map(str, words)),
            env=self.environment,
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=20,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith(SPAWNED)]
        self.started += [int(line.removeprefix(SPAWNED)) for line in lines]
        self._times = {pid: processes.start_time(pid) for pid in self.started}
        return done

    def script(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """spawn-php.sh with these settings."""
        file = self.place / f"{uuid.uuid4().hex}.conf"
        file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
        return self.run(SCRIPT, file)

    def family(self, pid: int, size: int) -> set[int]:
        """The processes of one PHP, once there are as many as there should be."""
        until(lambda: len(processes.family(pid)) == size, problem=f"not {size} processes")
        return processes.family(pid)

    def end(self) -> None:
        for pid, when in self._times.items():
            # A dead one's number may be somebody else's by now, unless its session still has members.
            if processes.start_time(pid) in (when, 0):
                until(lambda pid=pid: _ended(pid), problem=f"PHP {pid} survives")  # type: ignore[misc]


def _ended(pid: int) -> bool:
    """Kill what the session has now; once is not enough where a parent was forking meanwhile."""
    left = processes.session(pid)
    for member in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    return not left


@pytest.fixture
def php(place: Path) -> Iterator[Php]:
    php = Php(place)
    yield php
    php.end()


@pytest.fixture
def port() -> Iterator[int]:
    number, reservation = reserve_port()
    with reservation:
        yield number


def serve(box: Box, php: Php, host: str) -> None:
    user = f'server.username = "{USER}"\nserver.groupname = "{USER}"\n' if AS_ROOT else ""
    box.serve(
        f'{user}server.modules = ("mod_fastcgi")\nserver.document-root = "{php.site}"\n'
        f'index-file.names = ("index.php")\nfastcgi.server = (".php" => (({host})))\n'
    )


def environment(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_text()
    return dict(pair.split("=", 1) for pair in text.split("\0") if pair)


def served_by(box: Box, family: set[int], limit: str) -> None:
    """Some requests, each answered by a child, with the php.ini that was asked for."""
    for number in range(8):
        answer = box.get(f"/index.php?{number}")
        assert answer.status == 200, box.log()
        pid, memory, uri = answer.body.decode().split()
        assert int(pid) in family and memory == limit and uri == f"/index.php?{number}"


@pytest.mark.holds("host", "port")
def test_host_and_port(php: Php, box: Box, port: int) -> None:
    options = ("-u", USER) if AS_ROOT else ()
    done = php.run(
        *OURS, "-a", "127.0.0.1", "-p", str(port), "-C", "2", *options, "--", PHP, "-d", "memory_limit=77M"
    )
    assert done.returncode == 0, done
    family = php.family(php.started[0], 3)
    serve(box, php, f'"host" => "127.0.0.1", "port" => {port}')
    served_by(box, family - {php.started[0]}, "77M")
    box.stop()
    assert family == processes.family(php.started[0]), "it is not ours to end"


@pytest.mark.holds("socket")
def test_socket_without_bin_path(php: Php, box: Box) -> None:
    options = ("-u", USER) if AS_ROOT else ()
    done = php.run(
        *OURS, "-s", "php.sock", "-F", "2", "-P", "pid", *options, "-f", f"{PHP} -d memory_limit=78M"
    )
    assert done.returncode == 0, done
    serve(box, php, f'"socket" => "{php.place}/php.sock"')
    served_by(box, set(php.started), "78M")
    # The one listed first ends: the other one has the socket too.
    os.kill(int((php.place / "pid").read_text().split()[0]), signal.SIGKILL)
    served_by(box, set(php.started), "78M")


@pytest.mark.parametrize("command", [ORIGINAL, OURS], ids=["spawn-fcgi", "fcgibox"])
class TestScript:
    """spawn-php.sh with either."""

    def settings(self, command: list[str], **more: str) -> Mapping[str, str]:
        return {
            "SPAWNFCGI": " ".join(command),
            "FCGIPROGRAM": PHP,
            "PHP_FCGI_CHILDREN": str(CHILDREN),
            "PHP_FCGI_MAX_REQUESTS": "500",
            "FCGI_WEB_SERVER_ADDRS": "127.0.0.1,192.168.0.1",
            "ALLOWED_ENV": "ORACLE_HOME NOT_SET USER",
            "USERID": USER,
            "GROUPID": USER,
            **more,
        }

    def test_processes_user_and_environment(self, php: Php, box: Box, port: int, command: list[str]) -> None:
        (php.place / "php.ini").write_text("memory_limit = 79M\n")
        config = str(php.place / "php.ini")
        done = php.script(**self.settings(command, FCGIPORT=str(port), FCGI_CONFIG=config))
        assert done.returncode == 0 and done.stdout == f"{SPAWNED}{php.started[0]}\n", done
        family = php.family(php.started[0], CHILDREN + 1)
        expected = {
            "PHP_FCGI_CHILDREN": str(CHILDREN),
            "PHP_FCGI_MAX_REQUESTS": "500",
            "FCGI_WEB_SERVER_ADDRS": "127.0.0.1,192.168.0.1",
            "ORACLE_HOME": "/opt/a b",
        }
        for pid in family:
            assert processes.owner(pid) == pwd.getpwnam(USER).pw_uid
            assert environment(pid) == expected
            assert processes.command_line(pid) == [PHP, "-c", config]
        serve(box, php, f'"host" => "127.0.0.1", "port" => {port}')
        served_by(box, family - {php.started[0]}, "79M")
        os.kill(php.started[0], signal.SIGTERM)
        until(lambda: not any(map(processes.alive, family)), problem="children outlive their PHP")

    def test_socket(self, php: Php, box: Box, command: list[str]) -> None:
        path = php.place / "php.sock"
        done = php.script(**self.settings(command, FCGIPORT="", FCGISOCKET=str(path)))
        assert done.returncode == 0, done
        assert path.stat().st_mode & 0o777 == 0o660 and path.owner() == USER
        family = php.family(php.started[0], CHILDREN + 1)
        serve(box, php, f'"socket" => "{path}"')
        served_by(box, family - {php.started[0]}, "128M")

    def test_mistakes(self, php: Php, command: list[str]) -> None:
        for settings, message in (
            ({"FCGIPORT": "1026", "FCGISOCKET": "/x"}, "FCGIPORT and FCGISOCKET: set one of them"),
            ({"FCGIPORT": ""}, "FCGIPORT and FCGISOCKET are both empty"),
            (
                {"FCGIPROGRAM": "/nonexistent/php"},
                "there is no program /nonexistent/php; apt-get install php-cgi",
            ),
            (
                {"SPAWNFCGI": "/nonexistent/x spawn"},
                "there is no program /nonexistent/x; apt-get install spawn-fcgi",
            ),
            ({"FCGI_CONFIG": "/nonexistent/ini"}, "cannot read /nonexistent/ini"),
            ({"ALLOWED_ENV": "PATH $(id)"}, '"$(id)" is no name of a variable'),
        ):
            done = php.script(**self.settings(command, **settings))
            assert done.returncode == 1 and message in done.stderr, done
        assert not php.started


def test_settings_that_are_not_there(php: Php) -> None:
    done = php.run(SCRIPT, "nowhere.conf")
    assert done.returncode == 1 and "cannot read the settings file nowhere.conf" in done.stderr
