"""What is found in directories: kinds, refusals with their exact words, and that nothing is ever changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.errors import UserError
from recipes.trac.environments import Kind, examine, inspect, projects_below, validate
from recipes.trac.inifile import TracIni
from recipes.trac.machine import DATABASE_VERSION, Machine
from tests.recipes.sites import environment, give, plan


def said(directory: Path) -> str:
    """The refusal."""
    with pytest.raises(UserError) as caught:
        examine(directory)
    return str(caught.value)


def test_kinds(place: Path) -> None:
    assert examine(place / "nothing") is Kind.MISSING
    (place / "empty").mkdir()
    assert examine(place / "empty") is Kind.EMPTY
    # A fresh file system, and the remains of a creation that was interrupted.
    (place / "empty" / "lost+found").mkdir()
    (place / "empty" / ".fcgibox-new").mkdir()
    assert examine(place / "empty") is Kind.EMPTY
    assert examine(environment(place / "env")) is Kind.ENVIRONMENT


def test_what_is_no_environment_is_refused(place: Path) -> None:
    (place / "file").touch()
    assert said(place / "file") == f"{place}/file is not a directory; a Trac environment is one"
    (place / "dangling").symlink_to("nowhere")
    assert said(place / "dangling") == f"{place}/dangling is a symbolic link to something that does not exist"
    (place / "home").mkdir()
    for name in ("a", "b", "c", "d", "e"):
        (place / "home" / name).touch()
    assert said(place / "home") == (
        f"{place}/home is not a Trac environment, and not empty: it holds a, b, c and 2 more. "
        "Nothing was touched; choose a missing or empty directory for a new environment"
    )
    environment(place / "projects" / "alpha")
    assert said(place / "projects") == (
        f"{place}/projects is not a Trac environment, but holds alpha: "
        f"did you mean --parent-dir {place}/projects?"
    )
    with pytest.raises(UserError) as caught:
        plan("--parent-dir", place / "projects" / "alpha")
    assert str(caught.value) == (
        f"{place}/projects/alpha is itself an environment: did you mean --env {place}/projects/alpha?"
    )
    with pytest.raises(UserError) as caught:
        plan("--parent-dir", place / "none")
    assert str(caught.value) == f"--parent-dir {place}/none does not exist: mkdir -p {place}/none"


@pytest.mark.parametrize(
    ("ini", "version", "message"),
    [
        ("", DATABASE_VERSION, None),
        (
            "",
            43,
            "ENV is from an older Trac (database version 43; this one works with 45): make a backup, then "
            "`fcgibox trac-admin ENV upgrade`",
        ),
        (
            "",
            99,
            "ENV is from a newer Trac (database version 99; this one works with 45): use a newer fcgibox",
        ),
        (
            "[trac]\ndatabase = postgres://trac:secret@db/trac\n",
            45,
            "ENV keeps its data in PostgreSQL, which the bundled Trac does not support yet; its present Trac "
            "can move it to SQLite: `trac-admin ENV convert_db sqlite:db/trac.db`",
        ),
        (
            "[trac]\ndatabase = mysql://trac:secret@db/trac\n",
            45,
            "ENV keeps its data in MySQL, which the bundled Trac does not support yet; its present Trac "
            "can move it to SQLite: `trac-admin ENV convert_db sqlite:db/trac.db`",
        ),
        (
            "[trac]\ndatabase = oracle:x\n",
            45,
            "ENV: [trac] database in conf/trac.ini begins with 'oracle'; Trac knows sqlite:PATH",
        ),
        (
            "[trac]\ndatabase = sqlite:db/other.db\n",
            45,
            "ENV: its database ENV/db/other.db does not exist; restore it from a backup",
        ),
        (
            "[repositories]\nmain.dir = /srv/svn\nmain.type = svn\n",
            45,
            "ENV shows a Subversion repository, which the bundled Trac does not support yet; "
            "remove it from [repositories] in conf/trac.ini to serve the rest",
        ),
        ("[repositories]\nmain.dir = /srv/git\nmain.type = git\n", 45, None),
        (
            "database\n=\n[x\n",
            45,
            "ENV/conf/trac.ini: this is not a trac.ini that can be read (MissingSectionHeaderError)",
        ),
    ],
)
def test_what_the_bundled_trac_cannot_serve(ini: str, version: int, message: str | None, place: Path) -> None:
    env = environment(place / "env", ini, version)
    expected = None if message is None else message.replace("ENV", str(env))
    found = validate(env)
    if found is not None and "MissingSectionHeader" in found:
        found = found.replace(", line 1", "")
    assert found == expected


def test_a_database_that_is_none(place: Path) -> None:
    env = environment(place / "env")
    (env / "db" / "trac.db").write_bytes(b"not a database at all" * 100)
    assert validate(env) == (
        f"{env}: {env}/db/trac.db is not a database of Trac (file is not a database); "
        "restore it from a backup"
    )


def test_the_parents_projects_are_tracs(place: Path) -> None:
    for name in ("alpha", "beta", "old-1", ".hidden"):
        environment(place / name)
    (place / "file").touch()
    assert projects_below(place) == ["alpha", "beta", "old-1"]
    (place / ".tracignore").write_text("# old ones\nold-*\n\n")
    assert projects_below(place) == [".hidden", "alpha", "beta"]


def test_trac_ini_is_read_like_trac_does(place: Path) -> None:
    (place / "site.ini").write_text(
        "[attachment]\nmax_size = 5\n[inherit]\nhtdocs_dir = shared\n[trac]\na = %x\n"
    )
    (place / "conf").mkdir()
    path = place / "conf" / "trac.ini"
    path.write_bytes(
        b"\xef\xbb\xbf[inherit]\nfile = ../site.ini,\n  missing-is-an-error.ini\n[Trac]\na = no\n"
    )
    with pytest.raises(UserError, match=r"cannot read .*missing-is-an-error\.ini: No such file"):
        TracIni(path)
    path.write_bytes(b"\xef\xbb\xbf[inherit]\nfile = ../site.ini\n[attachment]\nMax_Size = 7\nmax_size = 8\n")
    ini = TracIni(path)
    assert ini.integer("attachment", "max_size", 1) == 8
    assert ini.text("trac", "a") == "%x"
    assert ini.directory("inherit", "htdocs_dir") == place / "shared"
    assert ini.directory("inherit", "plugins_dir") is None
    os.unlink(path)
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{path} is not a file"):
        TracIni(path)


def test_an_existing_environment_is_not_touched(place: Path) -> None:
    env = environment(place / "env", "[attachment]\nmax_size = 9\n")
    (env / "db" / "trac.db").rename(env / "db" / "kept.db")
    (env / "conf" / "trac.ini").write_text("[trac]\ndatabase = sqlite:db/kept.db\n")
    give(env)

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [place, env, *env.rglob("*")]
        }

    before = state()
    made = plan("--env", env, "--processes", "1")
    made.text()
    made.watched()
    inspect(env)
    assert validate(env) is None
    assert state() == before


def test_the_schema_version_is_that_of_the_trac_we_bundle() -> None:
    # In a process of its own: tests of the recipe run without Trac, as the recipe does.
    code = "import json, trac.db_default as d; print(json.dumps(d.db_version))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == DATABASE_VERSION


def test_processes_suit_the_machine() -> None:
    def processes(cores: int, memory: int) -> tuple[int, int]:
        return Machine(("x",), "x", "x", cores, memory).processes

    assert processes(1, 512) == (1, 2)
    assert processes(4, 512) == (1, 4)
    assert processes(4, 8192) == (1, 8)
    assert processes(64, 1 << 20) == (1, 8)
    assert processes(4, 128) == (1, 2)


def test_the_ceiling_of_processes_is_explained() -> None:
    machine = Machine(("x",), "x", "x", 2, 512)
    assert machine.ceiling(None) == (
        "at most 4, for 2 cores; 512 MiB of memory hold 4 of 64 MiB (--processes changes it)"
    )
    assert machine.ceiling((1, 3)) == "at most 3, as --processes says; 512 MiB of memory hold 4 of 64 MiB"
    assert machine.ceiling((1, 9)).endswith("but 512 MiB of memory hold 4 of 64 MiB: the machine may swap")
