"""The same options to spawn-fcgi and to `fcgibox spawn`: the program must find itself in the same state."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server import reserve_port
from tests.spawn.spawner import Done, Spawner
from tests.waiting import until

Both = tuple[Spawner, Spawner]
ROOT = os.geteuid() == 0

# Options; HERE is the spawner's directory.
UNIX = {
    "as it comes": [],
    "mode": ["-M", "0600"],
    "mode without zero": ["-M", "666"],
    "children": ["-C", "4"],
    "no children": ["-C", "0"],
    "directory": ["-d", "HERE/of"],
    "pid file": ["-P", "HERE/pid"],
    "three": ["-F", "3", "-P", "HERE/pid"],
    "joined": ["-F2", "-M640"],
}
if ROOT:
    UNIX |= {
        "user": ["-u", "www-data"],
        "user by number": ["-u", "33"],
        "group": ["-g", "games"],
        "user and group": ["-u", "www-data", "-g", "games"],
        "numbers without names": ["-u", "54321", "-g", "games"],
        "user of the socket": ["-u", "www-data", "-U", "games"],
        "group of the socket": ["-u", "www-data", "-G", "games"],
        "owner of the socket only": ["-U", "nobody"],
        "everybody": ["-u", "www-data", "-g", "games", "-U", "nobody", "-G", "daemon", "-M", "0660"],
    }
else:
    UNIX |= {"options for root": ["-u", "www-data", "-g", "games", "-U", "nobody", "-G", "daemon"]}


@pytest.fixture
def both(original: Spawner, ours: Spawner) -> Both:
    return original, ours


def placed(options: list[str], spawner: Spawner) -> list[str]:
    return [option.replace("HERE", str(spawner.directory)) for option in options]


def on_disk(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mode, found.st_uid, found.st_gid


def described(spawner: Spawner, done: Done, many: str = "") -> dict[str, Any]:
    """Everything that must be equal."""
    assert done.status == 0, done
    pids = done.pids
    pid_file = spawner.directory / "pid"
    every = [spawner.facts(pid) for pid in pids]
    assert all(facts == every[0] for facts in every)
    return {
        **every[0],
        "processes": len(pids),
        "pid file": pid_file.exists() and pid_file.read_text() == "\n".join(map(str, pids)),
        "pid file mode": pid_file.exists() and on_disk(pid_file),
    }


@pytest.mark.parametrize(
    ("name", "umask"),
    [*((name, 0o022) for name in UNIX), ("as it comes", 0), ("as it comes", 0o077), ("mode", 0o077)],
)
def test_unix_socket(both: Both, name: str, umask: int) -> None:
    found = []
    for spawner in both:
        done = spawner.run(
            "-s",
            "app.sock",
            *placed(UNIX[name], spawner),
            "--",
            spawner.program,
            "-x",
            "two words",
            umask=umask,
        )
        found.append((described(spawner, done), on_disk(spawner.directory / "app.sock")))
    assert found[1] == found[0]
    assert found[1][0]["blocking"] and found[1][0]["listens"]


@pytest.mark.parametrize("address", [None, "127.0.0.1", "::1", "::"])
def test_port(both: Both, address: str | None) -> None:
    port, reservation = reserve_port(address or "0.0.0.0")
    with reservation:
        found = []
        for spawner in both:
            where = [] if address is None else ["-a", address]
            done = spawner.run(*where, "-p", str(port), "--", spawner.program)
            found.append(described(spawner, done))
            spawner.end()
    assert found[1] == found[0]


@pytest.mark.parametrize(
    "environment",
    [{}, {"LC_CTYPE": "C"}, {"LANG": "C.UTF-8", "FCGI_WEB_SERVER_ADDRS": "127.0.0.1", "A": "b=c\n"}],
)
def test_environment(both: Both, environment: dict[str, str]) -> None:
    found = []
    for spawner in both:
        done = spawner.run("-s", "app.sock", "--", spawner.program, environment=environment)
        found.append(spawner.facts(done.pids[0])["environment"])
    assert found[1] == found[0]
    assert environment.items() <= found[1].items()


def test_backlog(both: Both) -> None:
    """-b: that many connections wait, and one more."""
    found = []
    for spawner in both:
        spawner.run("-s", "app.sock", "-b", "3", "--", spawner.program)
        waiting: list[socket.socket] = []
        with pytest.raises(BlockingIOError):
            while len(waiting) < 100:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(spawner.directory / "app.sock"))
        found.append(len(waiting) - 1)
        for client in waiting:
            client.close()
    assert found == [4, 4]


def test_command_line_for_the_shell(both: Both) -> None:
    found = []
    for spawner in both:
        done = spawner.run("-s", "app.sock", "-f", f"{spawner.program} 'two words' $((1 + 1))")
        found.append(described(spawner, done))
    assert found[1] == found[0]
    assert found[1]["arguments"] == ["two words", "2"]


def test_program_without_dashes(both: Both) -> None:
    found = []
    for spawner in both:
        found.append(described(spawner, spawner.run("-s", "app.sock", spawner.program, "word")))
    assert found[1] == found[0]
    assert found[1]["arguments"] == ["word"]


def test_taking_over_the_process(both: Both) -> None:
    """-n: no fork, no session, output as it is, no pid file."""
    found = []
    for spawner in both:
        started = spawner.start("-n", "-s", "app.sock", "-C", "2", "-P", "pid", "--", spawner.program)
        found.append(spawner.facts(started.pid))
        assert not (spawner.directory / "pid").exists()
    assert found[1] == found[0]
    assert found[1]["output"] == ["HERE/output", "HERE/errors"]


def test_an_old_socket_is_replaced(both: Both) -> None:
    for spawner in both:
        spawner.run("-s", "app.sock", "--", spawner.program)
        spawner.end()
        assert stat.S_ISSOCK((spawner.directory / "app.sock").stat().st_mode)
        done = spawner.run("-s", "app.sock", "--", spawner.program)
        assert spawner.facts(done.pids[0])["listens"]


REFUSED: dict[str, list[str]] = {
    "nothing": [],
    "no program": ["-s", "app.sock"],
    "no socket": ["--", "/bin/true"],
    "both": ["-s", "app.sock", "-p", "1026", "--", "/bin/true"],
    "no number": ["-p", "http", "--", "/bin/true"],
    "port 0": ["-p", "0", "--", "/bin/true"],
    "long path": ["-s", "x" * 108, "--", "/bin/true"],
    "name for address": ["-a", "localhost", "-p", "1026", "--", "/bin/true"],
    "no directory for the socket": ["-s", "nowhere/app.sock", "--", "/bin/true"],
    "a directory as socket": ["-s", "of", "--", "/bin/true"],
    "no directory": ["-s", "app.sock", "-d", "nowhere", "--", "/bin/true"],
    "no directory for the pid": ["-s", "app.sock", "-P", "nowhere/pid", "--", "/bin/true"],
    "a directory as pid file": ["-s", "app.sock", "-P", "of", "--", "/bin/true"],
    "in use": ["-s", "used.sock", "--", "/bin/true"],
}
if ROOT:
    REFUSED |= {
        "no such user": ["-u", "nosuchuser", "-s", "app.sock", "--", "/bin/true"],
        "no such group": ["-g", "nosuchgroup", "-s", "app.sock", "--", "/bin/true"],
        "root": ["-u", "root", "-s", "app.sock", "--", "/bin/true"],
        "root's group": ["-u", "www-data", "-g", "root", "-s", "app.sock", "--", "/bin/true"],
        "root's socket": ["-U", "root", "-s", "app.sock", "--", "/bin/true"],
        "no chroot": ["-c", "nowhere", "-s", "app.sock", "--", "/bin/true"],
    }
ENDED = {
    "missing": ["--", "/nonexistent/program"],
    "no path": ["--", "sleep", "1"],
    "not executable": ["--", "/etc/passwd"],
    "missing for the shell": ["-f", "/nonexistent/program"],
    "ended well": ["--", "/bin/true"],
    "ended": ["--", "/bin/sh", "-c", "exit 7"],
    "killed": ["--", "/bin/sh", "-c", "kill -9 $$"],
    "missing, not forked": ["-n", "--", "/nonexistent/program"],
    "ended, not forked": ["-n", "--", "/bin/sh", "-c", "exit 7"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_status_of_a_refusal(both: Both, name: str) -> None:
    for spawner in both:
        with socket.socket(socket.AF_UNIX) as used:
            used.bind(str(spawner.directory / "used.sock"))
            used.listen()
            done = spawner.run(*REFUSED[name])
        assert done.status == 255, done
        assert done.errors if name != "nothing" or spawner is both[1] else done.output
        assert not spawner.running()


@pytest.mark.parametrize("name", ENDED)
def test_status_of_a_program_that_ends(both: Both, name: str) -> None:
    original, ours = (spawner.run("-s", "app.sock", *ENDED[name]) for spawner in both)
    assert ours.status == original.status
    assert not ours.output and not original.output
    assert not (both[1].directory / "app.sock").exists() or "not forked" in name, "ours leaves no dead socket"


def test_port_in_use(both: Both) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        for spawner in both:
            done = spawner.run("-a", "127.0.0.1", "-p", str(used.getsockname()[1]), "--", "/bin/true")
            assert done.status == 255 and done.errors
        assert "is using it" in done.errors


if ROOT:

    def prison(directory: Path) -> Path:
        """A root directory with nothing but a shell in it."""
        root = directory / "root"
        (root / "bin").mkdir(parents=True)
        shutil.copy("/bin/sh", root / "bin/sh")
        libraries = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
        for word in libraries.split():
            if word.startswith("/"):
                (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, root / word[1:])
        (root / "writable").mkdir()
        (root / "writable").chmod(0o777)
        root.chmod(0o755)
        return root

    @pytest.mark.parametrize("outside", [False, True])
    def test_chroot(both: Both, outside: bool) -> None:
        """-c: the program is inside; the socket too, with -S it is outside."""
        # Stopped, it stays: the prison has no sleep.
        command = ["--", "/bin/sh", "-c", "pwd -P >/writable/report; kill -STOP $$"]
        found = []
        for spawner in both:
            root = prison(spawner.directory)
            socket_path = root / "app.sock" if not outside else spawner.directory / "app.sock"
            where = [spawner.directory / "app.sock", "-S"] if outside else ["/app.sock"]
            done = spawner.run("-c", root, "-s", *where, "-u", "www-data", "-d", "/writable", *command)
            assert done.status == 0, done
            report = root / "writable/report"
            until(lambda path=report: path.exists() and path.read_text(), problem="no report")  # type: ignore[misc]
            found.append((report.read_text(), on_disk(socket_path), on_disk(report)))
            assert os.readlink(f"/proc/{done.pids[0]}/root") == str(root)
        assert found[1] == found[0]
        assert found[1][0] == "/writable\n"
        output = [os.readlink(f"/proc/{done.pids[0]}/fd/{fd}") for fd in (1, 2)]
        assert output == ["/dev/null", "/dev/null"], "although the prison has none"
