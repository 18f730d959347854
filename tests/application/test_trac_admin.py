"""`fcgibox trac-admin` beside a Trac that runs as somebody else: whose files there are afterwards."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from tests.application.test_trac import trac_admin


def test_a_new_environment_is_run_by_what_is_here(place: Path) -> None:
    said = trac_admin(place / "env", "initenv", "New one", "sqlite:db/trac.db").stdout
    assert "tracd" not in said
    assert f"  fcgibox recipe trac --env {place}/env\n" in said
    assert "http://localhost:8000/.\n" in said


if os.geteuid() == 0:

    def test_root_becomes_the_owner(place: Path) -> None:
        """What root changes stays readable for the Trac that runs as somebody else."""
        owner = pwd.getpwnam("www-data").pw_uid
        (place / "trac").mkdir()
        os.chown(place / "trac", owner, -1)
        env, backup = place / "trac" / "env", place / "backup"
        backup.mkdir(0o700)
        assert trac_admin(env, "initenv", "New one", "sqlite:db/trac.db").returncode == 0
        assert trac_admin(env, "config", "set", "project", "descr", "x").returncode == 0
        # Where only root writes it stays root, and gives back what it left in the environment.
        (env / "log" / "trac.log").unlink(missing_ok=True)
        assert trac_admin(env, "hotcopy", backup / "env").returncode == 0
        assert (backup / "env" / "VERSION").stat().st_uid == 0
        assert {path.stat().st_uid for path in (env, *env.rglob("*"))} == {owner}

    def test_below_roots_directory_the_owner_is_to_be_chosen(place: Path) -> None:
        done = trac_admin(place / "env", "initenv", "New one", "sqlite:db/trac.db")
        assert done.stdout.splitlines()[-1] == (
            "It belongs to root, and Trac never runs as root; give it to a user: "
            f"chown -R www-data: {place}/env"
        )
