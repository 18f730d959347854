"""`fcgibox app trac` under a front that is not ours: a real lighttpd."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.application.front import Process
from tests.application.test_trac import trac_admin
from tests.box import clean_environment, program
from tests.http_client import Answer
from tests.lighttpd import Lighttpd
from tests.processes import alive
from tests.server import reserve_port
from tests.trac_projects import Projects
from tests.waiting import until

_MODULES = 'server.modules = ("mod_fastcgi", "mod_scgi")\nserver.document-root = "/var/empty"\n'


def configuration(key: str, host: str, module: str = "fastcgi") -> str:
    """One application at `key`."""
    root = '"fix-root-scriptname" => "enable", ' if key == "/" else ""
    return f'{_MODULES}{module}.server = ("{key}" => (({root}"check-local" => "disable", {host})))\n'


def starts(place: Path, *options: str | Path, **variables: str | Path) -> str:
    """lighttpd starts the application, with the listening socket on descriptor 0."""
    command = " ".join([*program(), "app", "trac", *map(str, options)])
    path = clean_environment()["PYTHONPATH"]
    environment = {"PYTHONPATH": path, "HOME": str(place), "TMPDIR": str(place), **variables}
    named = ", ".join(f'"{name}" => "{value}"' for name, value in environment.items())
    return f'"bin-path" => "{command}", "max-procs" => 1, "bin-environment" => ({named})'


@contextlib.contextmanager
def external(place: Path, *options: str | Path, **environment: str) -> Iterator[Process]:
    """An application that lighttpd only connects to."""
    path = str(place / "ext.sock")
    words = [*program(), "app", "trac", *map(str, options), "--socket", path, "--socket-mode", "666"]
    process = Process(words, path, place / "ext.log", **environment)
    try:
        yield process
    finally:
        process.end()


def walk(lighttpd: Lighttpd, mount: str) -> None:
    """The wiki, a ticket, a style sheet, a page that is not there, and a log-in that is refused."""
    wiki = lighttpd.fetch(f"{mount}/wiki")
    assert wiki.status == 200 and f'href="{mount}/timeline"' in wiki.text, lighttpd.log()
    assert lighttpd.fetch(f"{mount}/ticket/1").status == 200
    style = lighttpd.fetch(f"{mount}/chrome/common/css/trac.css")
    assert style.header("Content-Type") == "text/css" and len(style.body) > 1000
    assert lighttpd.fetch(f"{mount}/no/such/page").status == 404
    assert lighttpd.fetch(f"{mount}/login").status == 500
    head = lighttpd.fetch(f"{mount}/wiki", method="HEAD")
    assert head.status == 200 and head.body == b""


def test_started_by_lighttpd_on_a_unix_socket(lighttpd: Lighttpd, projects: Projects, place: Path) -> None:
    host = f'"socket" => "{place}/s", {starts(place, "--env", projects.single)}'
    lighttpd.serve(configuration("/trac", host))
    walk(lighttpd, "/trac")
    process = next(pid for pid in lighttpd.descendants() if pid != lighttpd.pid)
    assert lighttpd.stop() == 0
    until(lambda: not alive(process))


def test_started_by_lighttpd_on_a_port(lighttpd: Lighttpd, projects: Projects, place: Path) -> None:
    port, reservation = reserve_port()
    with reservation:
        host = f'"host" => "127.0.0.1", "port" => {port}, {starts(place, TRAC_ENV=projects.single)}'
        lighttpd.serve(configuration("/", host))
        walk(lighttpd, "")
        assert lighttpd.fetch("/").text.count("Single Project") > 0


@pytest.mark.parametrize(("protocol", "module"), [("fcgi", "fastcgi"), ("scgi", "scgi")])
def test_reached_by_lighttpd(
    lighttpd: Lighttpd, projects: Projects, place: Path, protocol: str, module: str
) -> None:
    with external(place, "--parent-dir", projects.parent, "--protocol", protocol) as process:
        lighttpd.serve(configuration("/projects", f'"socket" => "{process.address}"', module))
        walk(lighttpd, "/projects/alpha")
        assert lighttpd.fetch("/projects/gamma/wiki").status == 200
        assert "Beta Project" in lighttpd.fetch("/projects/").text
        assert lighttpd.fetch("/projects/nobody").status == 404
        answer = upload(lighttpd, "/projects/gamma", bytes(8 << 20))
        assert answer.status == 400, "no form token, but the whole upload was read"
        assert process.stop() == 0
        assert lighttpd.fetch("/projects/gamma/wiki").status == 503


def upload(lighttpd: Lighttpd, mount: str, content: bytes) -> Answer:
    """Post a form with a file that has no newline in it; it takes linear time."""
    head = b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="z"\r\n\r\n'
    begin = time.monotonic()
    answer = lighttpd.fetch(
        f"{mount}/attachment/wiki/WikiStart?action=new",
        method="POST",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        body=head + content + b"\r\n--b--\r\n",
    )
    assert time.monotonic() - begin < 5
    return answer


def test_files_are_left_to_lighttpd(lighttpd: Lighttpd, projects: Projects, place: Path) -> None:
    (projects.single / "htdocs" / "100% ours.txt").write_bytes(b"0123456789" * 1000)
    with external(place, "--env", projects.single, FCGIBOX_XSENDFILE=str(projects.single)) as process:
        host = f'"socket" => "{process.address}", "x-sendfile" => "enable"'
        lighttpd.serve(configuration("/trac", f'{host}, "x-sendfile-docroot" => ("{projects.single}")'))
        whole = lighttpd.fetch("/trac/chrome/site/100%25%20ours.txt")
        assert whole.body == b"0123456789" * 1000 and whole.header("Content-Type") == "text/plain"
        part = lighttpd.fetch("/trac/chrome/site/100%25%20ours.txt", headers={"Range": "bytes=5-8"})
        assert (part.status, part.body) == (206, b"5678")


def test_a_front_of_another_user_gets_the_octets(lighttpd: Lighttpd, projects: Projects, place: Path) -> None:
    if os.geteuid() != 0:
        # Then lighttpd has our user, which is the case of the test above.
        return
    (projects.single / "htdocs" / "own.txt").write_bytes(b"own")
    with external(place, "--env", projects.single, FCGIBOX_XSENDFILE=str(projects.single)) as process:
        host = f'"socket" => "{process.address}", "x-sendfile" => "enable"'
        lighttpd.serve('server.username = "nobody"\n' + configuration("/trac", host))
        answer = lighttpd.fetch("/trac/chrome/site/own.txt")
        assert (answer.status, answer.body) == (200, b"own")


def test_a_deployed_script(lighttpd: Lighttpd, projects: Projects, place: Path) -> None:
    done = trac_admin(projects.single, "deploy", place / "deployed")
    assert done.returncode == 0, done.stderr
    script = place / "deployed/cgi-bin/trac.fcgi"
    host = f'"socket" => "{place}/s", "bin-path" => "{script}", "max-procs" => 1'
    lighttpd.serve(configuration("/trac", f'{host}, "bin-environment" => ("TMPDIR" => "{place}")'))
    walk(lighttpd, "/trac")
    assert (place / "deployed/htdocs/common/css/trac.css").exists()


def test_an_upgrade_while_it_runs(lighttpd: Lighttpd, projects: Projects, place: Path) -> None:
    shutil.copytree(projects.project("gamma"), place / "env")
    (place / "env/VERSION").write_text("Trac Environment Version 0\n")
    host = f'"socket" => "{place}/s", {starts(place, "--env", place / "env")}'
    lighttpd.serve(configuration("/trac", host))
    broken = lighttpd.fetch("/trac/wiki")
    assert broken.status == 500 and "This project is unavailable" in broken.text
    (place / "env/VERSION").write_text("Trac Environment Version 1\n")
    assert lighttpd.fetch("/trac/wiki").status == 200
