"""The text of a recipe: compared with golden files, and accepted by a real lighttpd and by our own reader.

A golden file's first line holds the options: adding a case is adding a file. FCGIBOX_UPDATE=1 writes them.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from pathlib import Path

import pytest

from appliance import config
from recipes.trac.accounts import Account
from recipes.trac.text import bin_path, literal, quoted, render
from tests.lighttpd import check
from tests.recipes.sites import environment, give, plan

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.conf"))


@pytest.fixture
def srv(place: Path) -> Path:
    """What /srv holds in the golden files."""
    big = (
        "[attachment]\nmax_size = 1073741824\n[inherit]\nhtdocs_dir = ../../../shared/htdocs\nplugins_dir =\n"
    )
    environment(place / "one")
    environment(place / "projects" / "alpha", big)
    environment(place / "projects" / "beta")
    environment(place / "projects" / "café v1.0")
    (place / "projects" / "beta.htpasswd").touch()
    (place / "projects" / "alpha" / "conf" / "htpasswd").touch()
    (place / "all.htpasswd").touch()
    for directory in ("shared/htdocs", "plugins", "projects/notes", "projects/.hidden"):
        (place / directory).mkdir(parents=True)
    give(place)
    return place


def words(path: Path, srv: Path) -> list[str]:
    """The options that a golden file was made with."""
    first = path.read_text("utf-8").splitlines()[0]
    return shlex.split(first.removeprefix("# options: ").replace("/srv", str(srv)))


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_golden(path: Path, srv: Path) -> None:
    options = words(path, srv)
    user = Account("trac", 1000, 1000, "trac", "/var/lib/trac") if "--user" in options else None
    options = [word for word in options if word != "--user"]
    site = dataclasses.replace(
        plan(*options).site(),
        program=("/usr/bin/fcgibox",),
        htdocs="/usr/share/trac/htdocs",
        socket="/run/fcgibox/trac/trac.sock",
        spool="/var/tmp",
        account=user,
    )
    first = path.read_text("utf-8").splitlines()[0]
    text = f"{first}\n{render(site)}".replace(str(srv), "/srv")
    if os.environ.get("FCGIBOX_UPDATE"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_a_real_lighttpd_and_our_reader_accept_it(path: Path, srv: Path) -> None:
    text = plan(*(word for word in words(path, srv) if word != "--user")).text()
    done = check(text, srv)
    assert done.returncode == 0, done.stdout + done.stderr
    # An unknown key is passed over with a warning; ours is the only one.
    complaints = [line for line in done.stderr.splitlines() if "fcgibox.dot-files (ignored)" not in line]
    assert not complaints

    configuration = config.load(text, "recipe")
    assert not [notice for notice in configuration.notices if "ignored" in str(notice)]
    (pool,) = configuration.pools()
    assert (pool.name, pool.slots, pool.template, pool.x_sendfile) == ("trac", 1, True, True)
    assert pool.command[-2:] == ("app", "trac")


def test_the_reader_sees_what_the_site_says(srv: Path) -> None:
    made = plan(
        "--parent-dir", srv / "projects", "--at", "/trac", "--processes", "2-3", "--listen", "[::1]:80"
    )
    configuration = config.load(made.text(), "recipe")
    (pool,) = configuration.pools()
    assert (pool.min_procs, pool.max_procs) == (2, 3)
    assert dict(pool.environment)["TRAC_ENV_PARENT_DIR"] == str(srv / "projects")
    assert set(pool.exclusive) == {
        str(srv / "projects" / name / "db") for name in ("alpha", "beta", "café v1.0")
    }
    assert [listener.name for listener in configuration.listeners()] == ["[::1]:80"]
    assert set(configuration.password_files()) == {
        str(srv / "projects" / "htpasswd"),
        str(srv / "projects" / "beta.htpasswd"),
        str(srv / "projects" / "alpha" / "conf" / "htpasswd"),
        str(srv / "projects" / "café v1.0.htpasswd"),
    }


def test_a_project_that_appears_gets_its_login(srv: Path) -> None:
    made = plan("--parent-dir", srv / "projects")
    before = made.text()
    assert "delta" not in before
    assert str(srv / "projects") in made.watched()
    (srv / "projects" / "delta").mkdir()
    # Watched as soon as it exists: it becomes an environment a moment later, without another change above it.
    assert str(srv / "projects" / "delta") in made.watched()
    (srv / "projects" / "delta").rmdir()
    environment(srv / "projects" / "delta")
    assert '"/delta/chrome/common/"' in made.text()
    assert "delta.htpasswd" in made.text()
    assert made.text() == made.text() != before


def test_a_password_file_that_appears_is_taken(srv: Path) -> None:
    made = plan("--env", srv / "one")
    assert str(srv / "one.htpasswd") in made.text()
    (srv / "one" / "conf" / "htpasswd").touch()
    assert str(srv / "one" / "conf") in made.watched()
    assert str(srv / "one" / "conf" / "htpasswd") in made.text()
    (srv / "one.htpasswd").touch()
    assert str(srv) in made.watched()
    assert str(srv / "one" / "conf" / "htpasswd") not in made.text()


def test_what_a_projects_link_leads_to_is_sent_too(srv: Path) -> None:
    (srv / "elsewhere").mkdir()
    (srv / "one" / "files").symlink_to(srv / "elsewhere")
    (srv / "projects" / "linked").symlink_to(srv / "one")
    assert plan("--env", srv / "one").site().sendfile[0] == str(srv / "elsewhere")
    # Below the parent directory everything is; what a link leads to is not.
    sendfile = plan("--parent-dir", srv / "projects").site().sendfile
    assert sendfile[0] == str(srv / "projects")
    assert {str(srv / "elsewhere"), str(srv / "one" / "htdocs")} < set(sendfile)
    assert str(srv / "projects" / "beta" / "htdocs") not in sendfile


def test_instances_are_named_by_their_data(srv: Path) -> None:
    one, again = plan("--env", srv / "one"), plan("--env", f"{srv}/projects/../one", "--listen", "81")
    assert one.instance == again.instance
    assert one.instance.startswith("trac-one-")
    assert plan("--env", srv / "projects" / "beta").instance != one.instance
    assert plan("--env", f"a={srv / 'one'}").instance != one.instance


def test_strings_and_expressions() -> None:
    assert quoted('a "b" c') == '"a \\"b\\" c"'
    assert literal("/a.b+c") == "/a[.]b[+]c"
    assert bin_path(("/usr/bin/fcgibox",), ("app", "trac")) == "/usr/bin/fcgibox app trac"
    assert bin_path(("/my dir/python", "-m", "appliance"), ("app", "trac")) == (
        '/usr/bin/env -S"/my\\_dir/python"\\_"-m"\\_"appliance" app trac'
    )
