"""Who runs Trac: the rules of --user, and directories that this user cannot reach.

What only root can do is tested when the tests run as root (as in CI); the rest always.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from appliance.errors import UserError
from recipes.trac.accounts import Account, choose, run_as
from recipes.trac.reach import READ, WRITE, require
from tests.box import Box
from tests.recipes.sites import OWNER, environment, give, plan

ROOT = os.geteuid() == 0


def refusal(wanted: str | None, *directories: Path) -> str:
    with pytest.raises(UserError) as caught:
        choose(wanted, directories)
    return str(caught.value)


def unprivileged(box: Box, *words: str) -> subprocess.CompletedProcess[str]:
    """The program, run by an ordinary user."""
    return subprocess.run(
        [*box.program, *words],
        user=OWNER if ROOT else None,
        group=OWNER if ROOT else None,
        extra_groups=[] if ROOT else None,
        env=box.environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_an_ordinary_user_runs_it_as_nobody_else(box: Box, place: Path) -> None:
    me = OWNER if ROOT else pwd.getpwuid(os.geteuid()).pw_name
    env = environment(place / "env")
    words = ("recipe", "trac", "--env", str(env), "--listen", str(box.port), "--check")
    done = unprivileged(box, *words, "--user", "root")
    assert (done.returncode, done.stderr) == (
        1,
        f"fcgibox: --user root: only root can run Trac as another user, and this is {me}; "
        "start it as root, or with sudo\n",
    )
    done = unprivileged(box, *words, "--user", me)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"would run as {me}, ")


def test_an_unreadable_environment(box: Box, place: Path) -> None:
    env = environment(place / "env")
    (env / "conf" / "trac.ini").chmod(0o000)
    me = OWNER if ROOT else pwd.getpwuid(os.geteuid()).pw_name
    done = unprivileged(box, "recipe", "trac", "--env", str(env), "--listen", str(box.port), "--check")
    assert done.stderr == (
        f"fcgibox: Trac runs as {me}, and {env}/conf/trac.ini cannot be read by {me}: "
        f"chmod -R u+r {env}/conf/trac.ini\n"
    )


def test_what_cannot_be_created_is_said_before(box: Box, place: Path) -> None:
    me = OWNER if ROOT else pwd.getpwuid(os.geteuid()).pw_name
    words = ("recipe", "trac", "--listen", str(box.port), "--check", "--env")
    if not ROOT:
        place.chmod(0o555)
    done = unprivileged(box, *words, f"{place}/new")
    assert (done.returncode, done.stderr) == (
        1,
        f"fcgibox: cannot create {place}/new: {place} cannot be written by {me}; choose another, "
        f"or have root make it: install -d -o {me} {place}/new\n",
    )
    place.chmod(0o755)
    (place / "volume").mkdir()
    give(place / "volume")
    if not ROOT:
        place.chmod(0o555)
    done = unprivileged(box, *words, f"{place}/volume")
    assert (done.returncode, done.stderr) == (
        1,
        f"fcgibox: cannot create {place}/volume.htpasswd, which stands beside the environment: {place} "
        f"cannot be written by {me}; choose a directory one level deeper: --env {place}/volume/trac\n",
    )
    done = unprivileged(box, *words, f"{place}/volume/trac")
    assert done.returncode == 0, done.stderr
    place.chmod(0o755)


def test_run_as_hands_on_answers_and_refusals() -> None:
    account = choose(OWNER if ROOT else None, [])
    assert run_as(account, os.geteuid) == account.uid

    def refuse() -> None:
        raise UserError("not so")

    with pytest.raises(UserError, match="not so"):
        run_as(account, refuse)


if ROOT:

    def test_the_owner_runs_it(place: Path) -> None:
        env = environment(place / "env")
        assert choose(None, [env]).name == OWNER
        os.chown(env, pwd.getpwnam("games").pw_uid, -1)
        assert choose(None, [env]).name == "games"
        assert choose(OWNER, [env]).name == OWNER
        assert choose(None, [place / "missing"]).name == OWNER
        (place / "empty").mkdir()
        assert choose(None, [place / "empty"]).name == OWNER

    def test_users_who_never_run_it(place: Path) -> None:
        env = environment(place / "env")
        assert refusal("root", env) == (
            "--user root: Trac never runs as root; leave --user out, or say --user www-data"
        )
        assert refusal("nobody", env) == (
            "--user nobody: nobody is shared by programs that must not meet; leave --user out, "
            "or say --user www-data"
        )
        assert refusal("nobody-here") == (
            "--user nobody-here: there is no such user on this machine; "
            "`adduser --system --group nobody-here` makes one"
        )
        os.chown(env, 0, 0)
        assert refusal(None, env) == (
            f"{env} belongs to root, and Trac never runs as root; give it to a user: chown -R www-data: {env}"
        )
        os.chown(env, 65534, 0)
        assert refusal(None, env) == (
            f"{env} belongs to nobody, which is shared by programs that must not meet; "
            f"give it to another user: chown -R www-data: {env}"
        )
        os.chown(env, 54321, 0)
        assert refusal(None, env) == (
            f"{env} belongs to the number 54321, which is no user of this machine; "
            f"give it to one: chown -R www-data: {env}"
        )

    def test_environments_of_two_users(place: Path) -> None:
        one, two = environment(place / "one"), environment(place / "two")
        os.chown(two, pwd.getpwnam("games").pw_uid, -1)
        assert refusal(None, one, two) == (
            f"the environments belong to different users ({one}: www-data; {two}: games). One server runs as "
            "one user: give them to one (chown -R USER: DIR), or say --user NAME, or start one server "
            "for each"
        )
        assert choose(OWNER, [one, two]).name == OWNER

    def test_a_door_that_is_closed(place: Path) -> None:
        account = choose(OWNER, [])
        env = environment(place / "home" / "joe" / "env")
        (place / "home").chmod(0o700)
        closed = f"{place}/home cannot be entered by www-data: chmod o+x {place}/home"
        assert problem(account, env, WRITE) == (
            f"Trac runs as www-data, and {closed}   (or: setfacl -m u:www-data:x {place}/home)"
        )
        # Behind a link it is the same door.
        (place / "link").symlink_to(env)
        assert closed in problem(account, place / "link", READ)
        (place / "home").chmod(0o711)
        require(account, [(env, WRITE)])

    def test_what_cannot_be_written(place: Path) -> None:
        account = choose(OWNER, [])
        env = environment(place / "env")
        os.chown(env / "db", 0, 0)
        assert problem(account, env / "db", WRITE) == (
            f"Trac runs as www-data, and {env}/db cannot be written by www-data: chown -R www-data: {env}/db"
        )
        os.chown(env / "log", 0, 0)
        with pytest.raises(UserError) as caught:
            require(account, [(env / "db", WRITE), (env / "log", WRITE), (env / "missing", WRITE)])
        assert str(caught.value).splitlines() == [
            "Trac runs as www-data, and",
            f"  {env}/db cannot be written by www-data: chown -R www-data: {env}/db",
            f"  {env}/log cannot be written by www-data: chown -R www-data: {env}/log",
        ]

    def test_what_belongs_to_somebody_else_is_handed_over(place: Path) -> None:
        """Not opened to everybody: trac.ini may hold passwords."""
        env = environment(place / "env")
        os.chown(env / "conf" / "trac.ini", 0, 0)
        (env / "conf" / "trac.ini").chmod(0o600)
        with pytest.raises(UserError) as caught:
            plan("--env", env).check()
        assert str(caught.value) == (
            f"Trac runs as www-data, and {env}/conf/trac.ini cannot be read by www-data: "
            f"chown -R www-data: {env}"
        )

    def test_one_of_roots_does_not_stop_the_others(box: Box, place: Path) -> None:
        parent = place / "parent"
        environment(parent / "good")
        bad = environment(parent / "bad")
        for path in (bad, *bad.rglob("*")):
            os.chown(path, 0, 0)
        (bad / "conf" / "trac.ini").chmod(0o600)
        done = box.run("recipe", "trac", "--parent-dir", parent, "--listen", str(box.port), "--check")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("would run as www-data, ")
        assert f"would serve {parent}/good at /good\n" in done.stdout
        assert f"would serve {bad} " not in done.stdout
        assert done.stdout.splitlines()[-1] == (
            f"Trac runs as www-data, and {bad}/db cannot be written by www-data: chown -R www-data: {bad}"
        )

    def problem(account: Account, path: Path, need: int) -> str:
        with pytest.raises(UserError) as caught:
            require(account, [(path, need)])
        return str(caught.value)

    def test_the_front_and_trac_leave_root(box: Box, place: Path) -> None:
        env = place / "env"
        env.mkdir()
        os.chown(env, pwd.getpwnam("games").pw_uid, -1)
        box.recipe("trac", "--env", env, "--processes", "1")
        assert box.get("/wiki").status == 200
        users = {pid: os.stat(f"/proc/{pid}").st_uid for pid in box.descendants()}
        games = pwd.getpwnam("games").pw_uid
        assert users[box.front_pid()] == games
        # The supervisor and its guardian keep root; front, template and Trac have left it.
        assert sorted(users.values()) == [0, 0, games, games, games]
        give(env)
