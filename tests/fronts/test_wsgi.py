"""`fcgibox app wsgi`: an application with a library of its own, behind lighttpd and in our own server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.box import ROOT, Box, clean_environment, program
from tests.fronts.applications import reached
from tests.lighttpd import Lighttpd
from tests.waiting import until

_APPLICATION = '''\
"""A guest book of one line per guest."""

import os
import sys
from urllib.parse import parse_qs

from phrases import greeting

BOOK = os.path.abspath("book.txt")
LOADED_BY = os.getpid()


def application(environ, start_response):
    if environ["PATH_INFO"] == "/where":
        text = f"{environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']} {LOADED_BY == os.getpid()}"
    elif environ["REQUEST_METHOD"] == "POST":
        form = parse_qs(environ["wsgi.input"].read().decode())
        with open(BOOK, "a", encoding="utf-8") as book:
            book.write(greeting(form["name"][0]) + "\\n")
        start_response("303 See Other", [("Location", environ["SCRIPT_NAME"] + "/")])
        return []
    else:
        with open(BOOK, encoding="utf-8") as book:
            text = book.read()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]


def create():
    return application


async def asynchronous(scope, receive, send):
    pass
'''


@pytest.fixture
def site(place: Path) -> Path:
    """The application's directory; its library is in `libraries`, by a .pth file as an editable install."""
    directory = place / "guests"
    (directory / "elsewhere").mkdir(parents=True)
    (directory / "libraries").mkdir()
    (directory / "guests.py").write_text(_APPLICATION)
    (directory / "elsewhere/phrases.py").write_text("def greeting(name):\n    return f'Hello {name}!'\n")
    (directory / "libraries/phrases.pth").write_text(f"{directory}/elsewhere\n")
    (directory / "book.txt").touch()
    for path in (directory, directory / "book.txt"):
        path.chmod(0o777)
    return directory


def words(site: Path, target: str = "guests:application") -> tuple[str | Path, ...]:
    """What stands after `fcgibox app`."""
    return ("wsgi", target, "--chdir", site, "--pythonpath", site / "libraries")


def configuration(site: Path, mount: str, more: str, *options: str) -> str:
    """A pool that the server starts itself."""
    command = " ".join(map(str, (*program(), "app", *words(site), *options)))
    root = '"fix-root-scriptname" => "enable", ' if mount == "/" else ""
    environment = f'"bin-environment" => ("PYTHONPATH" => "{ROOT}"), '
    return (
        f'fastcgi.server = ("{mount}" => (("bin-path" => "{command}", "socket" => "{site}/s", '
        f'{root}{environment}"check-local" => "disable", "max-procs" => 2{more})))\n'
        'server.document-root = "/var/empty"\nserver.modules = ("mod_fastcgi", "mod_scgi")\n'
    )


def sign(server: Box | Lighttpd, mount: str) -> None:
    """Two guests, and the book."""
    for name in ("Ann", "Zo%C3%AB"):
        answer = server.fetch(f"{mount}/", method="POST", body=f"name={name}".encode())
        assert (answer.status, answer.header("Location")) == (303, f"{mount}/"), server.log()
    assert server.fetch(f"{mount}/").text == "Hello Ann!\nHello Zoë!\n"


@pytest.mark.parametrize("mount", ["", "/guests"])
def test_started_by_lighttpd(lighttpd: Lighttpd, site: Path, mount: str) -> None:
    lighttpd.serve(configuration(site, mount or "/", ""))
    sign(lighttpd, mount)
    assert lighttpd.fetch(f"{mount}/where").text == f"http {mount} True"


def test_started_by_lighttpd_over_scgi(lighttpd: Lighttpd, site: Path) -> None:
    text = configuration(site, "/guests", "", "--protocol", "scgi").replace("fastcgi.server", "scgi.server")
    lighttpd.serve(text)
    sign(lighttpd, "/guests")


def test_forked_by_our_own_server(box: Box, site: Path) -> None:
    box.serve(configuration(site, "/", ', "template" => "enable"', "--url", "https://guests.example"))
    sign(box, "")
    assert box.fetch("/where").text == "https  False", "it was loaded in the template"
    box.kill_application()
    until(lambda: len(box.application_pids()) == 2)
    assert box.fetch("/").status == 200


def test_a_factory(place: Path, site: Path) -> None:
    arguments = (*words(site, "guests:create()"), "--url", "https://example.org/book")
    with reached(place / "app.log", place / "s", *arguments) as process:
        assert process.ask("/where").body == b"https /book True"


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("guests", 2, "MODULE:CALLABLE"),
        ("gusts:application", 1, "there is no module gusts in {site}"),
        ("guests:app", 1, "has no app; callable in it: application"),
        ("guests:BOOK", 1, "cannot be called"),
        ("guests:asynchronous", 1, "ASGI"),
        ("broken:application", 1, "ZeroDivisionError"),
        ("lacking:application", 1, "needs not_installed, which is not installed"),
        ("leaving:application", 1, "SystemExit"),
        ("guests:greeting()", 1, "TypeError"),
    ],
)
def test_what_cannot_be_served(site: Path, target: str, status: int, message: str) -> None:
    (site / "broken.py").write_text("1 / 0\n")
    (site / "lacking.py").write_text("import not_installed\n")
    (site / "leaving.py").write_text("raise SystemExit(0)\n")
    done = refused("app", *words(site, target), "--socket", site / "s")
    assert (done.returncode, message.format(site=site) in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr.splitlines()[-1]


def test_directories_that_are_not_there(site: Path) -> None:
    for option in ("--chdir", "--pythonpath"):
        done = refused("app", "wsgi", "guests:application", option, site / "no", "--socket", site / "s")
        assert done.returncode == 1 and f"{option} {site}/no" in done.stderr, done.stderr


def refused(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The program, which is expected to end by itself."""
    return subprocess.run(
        [*program(), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
