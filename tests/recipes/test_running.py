"""The recipe as people meet it: a parent directory, its logins, a project that appears, the start block."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.box import Box
from tests.trac_projects import Projects
from tests.waiting import until


def passwd(box: Box, file: Path, user: str, password: str) -> None:
    done = box.run("passwd", file, user, stdin=password + "\n")
    assert done.returncode == 0, done.stderr


def test_a_parent_directory(box: Box, projects: Projects) -> None:
    parent = projects.parent
    passwd(box, parent / "htpasswd", "ann", "annpw")
    passwd(box, parent / "beta.htpasswd", "joe", "joepw")
    box.recipe("trac", "--parent-dir", parent, "--at", "/trac", "--processes", "1-2")

    assert box.get("/trac/alpha/wiki").status == 200
    assert box.get("/tracfoo/alpha/wiki").status == 404
    assert box.fetch("/trac/alpha/login", user=("ann", "annpw")).status == 302
    assert box.fetch("/trac/beta/login", user=("ann", "annpw")).status == 401
    assert box.fetch("/trac/beta/login", user=("joe", "joepw")).status == 302
    # Served without asking Trac: nobody gets a session for a style sheet.
    css = box.get("/trac/alpha/chrome/common/css/trac.css")
    assert css.status == 200 and not css.header("Set-Cookie")

    # One that is created later: its pages at once, its own password file without a restart.
    shutil.copytree(parent / "gamma", parent / "delta")
    if os.geteuid() == 0:
        owner = parent.joinpath("gamma").stat()
        for path in [parent / "delta", *(parent / "delta").rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
    assert box.get("/trac/delta/wiki").status == 200
    assert box.fetch("/trac/delta/login", user=("ann", "annpw")).status == 302
    passwd(box, parent / "delta.htpasswd", "eve", "evepw")
    until(
        lambda: box.fetch("/trac/delta/login", user=("eve", "evepw")).status == 302,
        20,
        "the new project's password file was not taken",
        box.log,
        interval=0.3,
    )
    assert box.fetch("/trac/delta/login", user=("ann", "annpw")).status == 401


def test_private_means_every_page(box: Box, projects: Projects) -> None:
    parent = projects.parent
    passwd(box, parent / "htpasswd", "ann", "annpw")
    passwd(box, parent / "beta.htpasswd", "joe", "joepw")
    box.recipe("trac", "--parent-dir", parent, "--private", "--processes", "1")
    for path in (
        "/",
        "/alpha",
        "/alpha/wiki",
        "/beta/chrome/common/css/trac.css",
        "/unknown/wiki",
        "//beta//wiki",
    ):
        assert box.get(path).status == 401, path
    assert b"beta" in box.fetch("/", user=("ann", "annpw")).body
    assert box.fetch("/beta/wiki", user=("ann", "annpw")).status == 401
    page = box.fetch("/beta/wiki", user=("joe", "joepw"))
    assert page.status == 200 and b"joe" in page.body  # Trac knows who it is


def test_a_missing_password_file_closes_one_login(box: Box, projects: Projects) -> None:
    alpha, beta = projects.parent / "alpha", projects.parent / "beta"
    passwd(box, projects.parent / "beta.htpasswd", "joe", "joepw")
    box.recipe("trac", "--env", alpha, "--env", f"shop={beta}", "--processes", "1")
    assert box.get("/alpha/login").status == 503
    assert box.get("/alpha/wiki").status == 200
    assert box.fetch("/shop/login", user=("joe", "joepw")).status == 302
    passwd(box, projects.parent / "alpha.htpasswd", "ann", "annpw")
    until(lambda: box.fetch("/alpha/login", user=("ann", "annpw")).status == 302, 15, "still closed", box.log)


def test_the_start_block(box: Box, projects: Projects) -> None:
    parent = projects.parent
    passwd(box, parent / "alpha.htpasswd", "admin", "adminpw")
    (parent / "notes").mkdir()
    box.recipe("trac", "--parent-dir", parent, "--at", "/trac", "--processes", "1-2")
    until(lambda: box.log_contains("fcgibox stop"), 10, "no start block", box.log)
    shown = [line.split(None, 1) for line in box.log().splitlines() if line.startswith("  ")]
    rows = {words[0]: words[1] for words in shown if len(words) == 2}
    assert (
        f"Trac runs. 3 projects below {parent}; one that is created there later appears by itself."
        in box.log()
    )
    assert rows["open"] == f"http://127.0.0.1:{box.port}/trac/"
    assert f"ssh -L {box.port}:127.0.0.1:{box.port} THIS-MACHINE" in box.log()
    assert "--lan opens it to the network" in box.log()
    assert rows["projects"] == f"/trac/alpha   {parent}/alpha"
    assert "1-2 Trac processes as " in rows["runs"]
    assert rows["passwords"] == f"{parent}/alpha.htpasswd"
    assert f"{parent}/beta.htpasswd   does not exist yet, and closes its login" in box.log()
    assert rows["forgotten?"] == f"{typed(box)} passwd {parent}/alpha.htpasswd admin   sets a new one"
    others = "does not exist yet, and closes the login of projects without a file of their own"
    assert f"{parent}/htpasswd   {others}\n" in box.log()
    assert rows["note"] == f"{parent}/notes is not a Trac environment; it is not served"


def typed(box: Box) -> str:
    """The program as it must be typed here: it is not where the shell looks for it."""
    return " ".join(map(shlex.quote, box.program))


def test_two_at_once_are_refused(boxes: Callable[[], Box], projects: Projects) -> None:
    first, second = boxes(), boxes()
    first.recipe("trac", "--parent-dir", projects.parent, "--processes", "1")
    words = ("recipe", "trac", "--listen", f"127.0.0.1:{second.port}")
    same = first.run(*words, "--parent-dir", projects.parent)
    assert same.returncode == 1
    assert "is already running" in same.stderr
    # Another way to the same data.
    other = second.run(*words, "--env", projects.parent / "alpha")
    assert other.returncode == 1
    assert f"{projects.parent}/alpha/db is already served by process {first.pid}" in other.stderr


def test_trac_writes_its_own_log(box: Box, projects: Projects) -> None:
    log = projects.single / "log" / "trac.log"
    box.recipe("trac", "--env", projects.single, "--processes", "1")
    assert box.get("/no-such-page").status == 404
    assert "No handler matched request to /no-such-page" in log.read_text()


def test_a_full_disk_leaves_the_pages_readable(box: Box, projects: Projects) -> None:
    log = projects.single / "log" / "trac.log"
    log.unlink(missing_ok=True)
    log.symlink_to("/dev/full")
    box.recipe("trac", "--env", projects.single, "--processes", "1")
    assert box.get("/wiki").status == 200
    assert box.get("/no-such-page").status == 404
    remarks = [line for line in box.log().splitlines() if "No space left on device" in line]
    assert remarks and all(
        f"cannot write {log}: [Errno 28] No space left on device" in line for line in remarks
    )
    assert len(remarks) <= 2, remarks  # one of the template, one of the process
    assert "Traceback" not in box.log()


def test_the_printed_text_is_served(box: Box, projects: Projects) -> None:
    """As the README says: print, edit, serve. The sockets' directory is made, and goes again."""
    words = ("--env", projects.single, "--listen", f"127.0.0.1:{box.port}", "--processes", "1")
    text = box.run("recipe", "trac", *words, "--print").stdout
    sockets = Path(re.search(r'"socket" => "(.*)/trac.sock"', text)[1])  # type: ignore[index]
    assert not sockets.exists()
    box.serve(text)
    assert box.get("/wiki").status == 200
    assert box.stop() == 0
    assert not sockets.exists()
