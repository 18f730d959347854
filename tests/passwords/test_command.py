"""`fcgibox passwd` as people run it: a process, a pipe or a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
COMMAND = [sys.executable, "-m", "appliance", "passwd"]


def passwd(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run it with a pipe for standard input, and nothing in the environment that it could lean on."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, check=False, env=ENVIRONMENT
    )


def on_terminal(*arguments: str | Path, answers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """Run it on a terminal: each answer is typed when its prompt stands there. Status and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, *map(str, arguments)], ENVIRONMENT)
    shown = b""
    seen = 0
    waiting = list(answers)
    while True:
        assert select.select([terminal], [], [], 30)[0], f"it hangs; shown so far: {shown!r}"
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break  # EIO: the program has ended
        if not piece:
            break
        shown += piece
        if waiting and waiting[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(terminal, waiting.pop(0)[1] + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.htpasswd"


def test_set_verify_change_delete(file: Path) -> None:
    done = passwd(file, "joe", stdin=b"secret\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == f"created {file} (mode 0640) with the user joe\n".encode()
    assert passwd("--verify", file, "joe", stdin=b"secret\n").returncode == 0
    wrong = passwd("--verify", file, "joe", stdin=b"wrong\n")
    assert wrong.returncode == 1
    assert b"not the password of joe" in wrong.stderr
    assert (
        passwd(file, "joe", stdin="pässword".encode()).stdout
        == f"set the password of joe in {file}\n".encode()
    )
    assert passwd("--verify", "--stdin", file, "joe", stdin="pässword\r\n".encode()).returncode == 0
    assert passwd("--verify", file, "joe", stdin=b"secret\n").returncode == 1
    assert passwd("--delete", file, "joe").returncode == 0
    gone = passwd("--verify", file, "joe", stdin=b"secret\n")
    assert (gone.returncode, gone.stdout) == (1, b"")
    assert b"no user 'joe'" in gone.stderr
    assert passwd("--delete", file, "joe").returncode == 1


def test_apache_accepts_what_we_wrote(file: Path) -> None:
    passwd(file, "jürgen", stdin=b"secret\n")
    subprocess.run(["htpasswd", "-vi", str(file), "jürgen"], input=b"secret", check=True, capture_output=True)


def test_we_change_what_apache_wrote(file: Path) -> None:
    subprocess.run(["htpasswd", "-cbm", str(file), "ann", "secret"], check=True, capture_output=True)
    subprocess.run(["htpasswd", "-bB", str(file), "joe", "secret"], check=True, capture_output=True)
    assert passwd("--verify", file, "ann", stdin=b"secret\n").returncode == 0
    assert passwd(file, "joe", stdin=b"new\n").returncode == 0
    assert passwd("--verify", file, "joe", stdin=b"new\n").returncode == 0
    assert passwd("--verify", file, "ann", stdin=b"secret\n").returncode == 0


@pytest.mark.parametrize(
    ("user", "stdin", "reason"),
    [
        ("a:b", b"secret\n", b"colon"),
        ("a\nb", b"secret\n", b"line break"),
        ("joe", b"\n", b"empty"),
        ("joe", b"", b"no password came"),
        ("joe", b"x" * 73 + b"\n", b"73 octets"),
        ("joe", b"x" * 5000 + b"\n", b"octets"),
        ("joe", b"\xff\n", b"UTF-8"),
    ],
)
def test_refusals_leave_no_file(file: Path, user: str, stdin: bytes, reason: bytes) -> None:
    done = passwd(file, user, stdin=stdin)
    assert done.returncode == 1
    assert done.stderr.startswith(b"fcgibox: ") and reason in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert list(file.parent.iterdir()) == []


def test_wrong_usage_is_status_2(file: Path) -> None:
    assert passwd(file).returncode == 2
    assert passwd("--delete", "--verify", file, "joe").returncode == 2
    assert passwd("--help").stdout.startswith(b"Set, delete or verify")


def test_a_terminal_asks_twice_and_shows_nothing(file: Path) -> None:
    status, shown = on_terminal(
        file, "joe", answers=[(b"New password of joe: ", b"secret"), (b"The same again: ", b"secret")]
    )
    assert status == 0 and b"secret" not in shown
    status, shown = on_terminal("--verify", file, "joe", answers=[(b"Password of joe: ", b"secret")])
    assert status == 0 and b"is right" in shown


def test_a_terminal_where_the_two_differ(file: Path) -> None:
    status, shown = on_terminal(
        file, "joe", answers=[(b"New password of joe: ", b"secret"), (b"The same again: ", b"secert")]
    )
    assert status == 1 and b"the two passwords differ; nothing was changed" in shown
    assert not file.exists()
