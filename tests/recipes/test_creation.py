"""New environments: what is in them, whose they are, and that a failure leaves nothing."""

from __future__ import annotations

import os
import pty
import pwd
import re
import resource
import select
import signal
import sqlite3
import stat
import subprocess
import time
from pathlib import Path

import pytest

from recipes.trac.environments import READY, STAGING
from tests.box import Box
from tests.recipes.sites import OWNER
from tests.waiting import until


@pytest.fixture
def made(box: Box, place: Path) -> Path:
    """A new environment with sample data, its server stopped."""
    place.chmod(0o755)
    directory = place / "deep" / "my project"
    box.recipe("trac", "--env", directory, "--demo", "--processes", "1")
    assert box.stop() == 0
    return directory


def owner(path: Path) -> str:
    return pwd.getpwuid(path.stat().st_uid).pw_name


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_directory_becomes_an_environment(made: Path, box: Box) -> None:
    expected = OWNER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    secret = made.with_name("my project.admin-password")
    passwords = made.with_name("my project.htpasswd")
    for path in (made, made / "db" / "trac.db", made / "conf" / "trac.ini", secret, passwords):
        assert owner(path) == expected, path
    assert (mode(made), mode(secret)) == (0o750, 0o600)
    assert sorted(os.listdir(made.parent)) == [made.name, secret.name, passwords.name]
    assert not {STAGING, READY} & set(os.listdir(made))

    assert passwords.read_text().startswith("admin:$2")
    password = secret.read_text().strip()
    assert re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", password)
    assert box.run("passwd", str(passwords), "admin", "--verify", stdin=password + "\n").returncode == 0
    # The log names the file and never the password.
    assert f"The password of admin is in {secret}" in box.log()
    assert password not in box.log()
    assert f"fcgibox passwd '{passwords}' admin` sets another" in box.log()
    assert f"first login admin; read the password, then delete its file: {secret}\n" in box.log()

    ini = (made / "conf" / "trac.ini").read_text()
    assert re.search(r"^max_size = 52428800$", ini, re.M)
    assert re.search(r"^tracopt\.versioncontrol\.git\.\* = enabled$", ini, re.M)
    assert re.search(r"^name = my project$", ini, re.M)
    with sqlite3.connect(made / "db" / "trac.db") as database:
        assert ("admin", "TRAC_ADMIN") in database.execute(
            "SELECT username, action FROM permission"
        ).fetchall()
        assert database.execute("SELECT count(*) FROM ticket").fetchone() == (4,)
        assert database.execute("SELECT filename FROM attachment").fetchall() == [("notes.txt",)]
    database.close()


def test_the_next_start_leaves_it_alone(made: Path, box: Box) -> None:
    ini = made / "conf" / "trac.ini"
    before = (ini.read_bytes(), ini.stat().st_mtime_ns, os.listdir(made.parent))
    box.recipe("trac", "--env", made, "--demo", "--private", "--locale", "C.UTF-8", "--processes", "1")
    assert box.log_contains("--demo has done nothing: it is for an environment that is being created")
    assert box.get("/wiki").status == 401
    password = made.with_name("my project.admin-password").read_text().strip()
    assert b"Welcome" in box.fetch("/wiki", user=("admin", password)).body
    assert box.stop() == 0
    assert (ini.read_bytes(), ini.stat().st_mtime_ns, os.listdir(made.parent)) == before


def test_check_creates_nothing(box: Box, place: Path) -> None:
    done = box.run("recipe", "trac", "--env", place / "new", "--demo", "--listen", str(box.port), "--check")
    assert done.returncode == 0, done.stderr
    user = OWNER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    first, processes, *rest = done.stdout.splitlines()
    assert first == f"would run as {user}, listening on 127.0.0.1:{box.port}"
    assert processes.startswith("would start Trac processes as they are needed, at most ")
    assert rest == [
        f"would create the Trac environment {place}/new with sample data",
        f"would give it an administrator, admin, with a new password, in {place}/new.htpasswd; "
        f"it would be in {place}/new.admin-password",
        f"would serve {place}/new at /",
    ]
    assert os.listdir(place) == [box.directory.name]


def test_a_terminal_shows_the_password_once(box: Box, place: Path) -> None:
    env = place / "new"
    # Without a server: the port is fine, and the run ends at the first signal.
    master, slave = pty.openpty()
    words = [*box.program, "recipe", "trac", "--env", str(env), "--listen", str(box.port), "--processes", "1"]
    process = subprocess.Popen(words, stdout=slave, stderr=slave, stdin=slave, env=box.environment)
    os.close(slave)
    shown = b""
    deadline = time.monotonic() + 40
    while b"Ctrl-C" not in shown and time.monotonic() < deadline:
        if select.select([master], [], [], 0.5)[0]:
            shown += os.read(master, 65536)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    os.close(master)
    found = re.findall(r"password   (\S+)", shown.decode())
    assert len(found) == 1
    assert not (place / "new.admin-password").exists()
    checked = box.run("passwd", str(place / "new.htpasswd"), "admin", "--verify", stdin=found[0] + "\n")
    assert checked.returncode == 0


def test_an_administrator_who_exists_keeps_the_password(box: Box, place: Path) -> None:
    file = place / "new.htpasswd"
    assert box.run("passwd", str(file), "admin", stdin="mine, all mine\n").returncode == 0
    before = file.read_bytes()
    box.recipe("trac", "--env", place / "new", "--processes", "1")
    assert box.log_contains(f"admin is in {file} already and keeps that password")
    assert file.read_bytes() == before
    assert not (place / "new.admin-password").exists()


def run_limited(box: Box, env: Path, octets: int) -> subprocess.CompletedProcess[str]:
    """A start whose files cannot become larger than this: what a full disk does to it."""
    words = [*box.program, "recipe", "trac", "--env", str(env), "--listen", str(box.port), "--processes", "1"]
    return subprocess.run(
        words,
        env=box.environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets)),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("exists", [False, True])
def test_a_full_disk_leaves_nothing(exists: bool, box: Box, place: Path) -> None:
    env = place / "new"
    if exists:
        env.mkdir()
    done = run_limited(box, env, 200_000)  # the database becomes larger
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"fcgibox: Trac could not create an environment in {env}; nothing is left of it. It said:\n  "
    )
    assert "disk" in done.stderr
    assert env.exists() is exists
    assert not exists or os.listdir(env) == []
    assert not env.with_name("new.htpasswd").exists()


def test_a_killed_creation_is_begun_again(box: Box, place: Path) -> None:
    env = place / "new"
    words = [*box.program, "recipe", "trac", "--env", str(env), "--listen", str(box.port), "--processes", "1"]
    process = subprocess.Popen(words, env=box.environment, stderr=subprocess.DEVNULL, start_new_session=True)
    until(lambda: (env / STAGING / "conf").exists(), 20, "no creation", interval=0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert os.listdir(env) == [STAGING]
    box.recipe("trac", "--env", env, "--processes", "1")
    assert box.get("/wiki").status == 200
    assert STAGING not in os.listdir(env)


def test_an_interrupted_move_is_finished(box: Box, place: Path) -> None:
    """Between the last step of the creation and the mark: some parts are in their place, some are not."""
    env = place / "new"
    box.recipe("trac", "--env", env, "--processes", "1")
    assert box.stop() == 0
    ready = env / READY
    ready.mkdir()
    for name in ("conf", "VERSION", "log"):
        (env / name).rename(ready / name)
    if os.geteuid() == 0:
        entry = pwd.getpwnam(OWNER)
        os.chown(ready, entry.pw_uid, entry.pw_gid)
    box.start()
    assert box.get("/wiki").status == 200
    assert READY not in os.listdir(env)


def test_a_taken_port_is_said_before_anything_is_created(box: Box, place: Path) -> None:
    box.recipe("trac", "--env", place / "first", "--processes", "1")
    done = box.run("recipe", "trac", "--env", place / "second", "--listen", str(box.port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{box.port}" in done.stderr
    assert not (place / "second").exists()


def test_nothing_is_created_where_the_server_could_not_start(box: Box, place: Path) -> None:
    words = ("recipe", "trac", "--env", place / "new")
    for options, message in (
        (
            ("--listen", str(box.port), "--access-log", place / "no" / "log"),
            f"--access-log {place}/no/log: there is no directory {place}/no: mkdir -p {place}/no",
        ),
        (
            ("--listen", f"unix:{place}/no/socket"),
            f"--listen unix:{place}/no/socket: there is no directory {place}/no: mkdir -p {place}/no",
        ),
    ):
        for check in ((), ("--check",)):
            done = box.run(*words, *options, *check)
            assert (done.returncode, done.stderr) == (1, f"fcgibox: {message}\n")
            assert not (place / "new").exists()


def test_a_new_environment_inside_another_is_refused(box: Box, place: Path) -> None:
    for one, two in (("new", "new/inner"), ("new/inner", "new")):
        done = box.run("recipe", "trac", "--env", place / one, "--env", place / two, "--check")
        assert (done.returncode, done.stderr) == (
            2,
            f"fcgibox: {place}/new/inner is inside {place}/new; choose a directory beside it\n",
        )


def test_a_named_project_is_called_by_its_name(box: Box, place: Path) -> None:
    box.recipe("trac", "--env", f"web={place}/a/trac", "--env", f"shop={place}/b/trac", "--processes", "1")
    index = box.get("/").body.decode()
    assert "<h2>web</h2>" in index and "<h2>shop</h2>" in index
    # Two of one name are told apart.
    assert box.stop() == 0
    ini = place / "b" / "trac" / "conf" / "trac.ini"
    ini.write_text(ini.read_text().replace("name = shop", "name = web"))
    box.start()
    index = box.get("/").body.decode()
    assert "<h2>web</h2>" in index and "<h2>web (shop)</h2>" in index
