"""docs/coming-from.md: what it shows is read by the servers that it is for."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.box import ROOT, Box
from tests.fronts.servers import Apache, Nginx
from tests.lighttpd import check
from tests.trac_projects import Projects

_PAGE = ROOT / "docs/coming-from.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", _PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The commands that run Trac, from the blocks and from the table about tracd."""
    shown = [line for block in blocks("console") for line in block.splitlines()]
    shown += re.findall(r"\| `(fcgibox recipe [^`]+)`", _PAGE.read_text("utf-8"))
    return [line for line in dict.fromkeys(shown) if line.startswith("fcgibox recipe")]


@pytest.mark.parametrize("number", range(2))
def test_apache_reads_it(place: Path, number: int) -> None:
    done = Apache(place / "apache").check(blocks("apache")[number])
    assert "Syntax OK" in done.stderr, done.stderr


def test_nginx_reads_it(place: Path) -> None:
    (server,), (upstream,) = blocks("nginx"), blocks("nginx-http")
    kept = server.replace("unix:/run/trac/1.sock;", "trac; fastcgi_keep_conn on;")
    assert kept != server
    for text, outside in ((server, ""), (kept, upstream)):
        done = Nginx(place / "nginx").check(text, outside)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", range(3))
def test_lighttpd_reads_it_and_so_do_we(box: Box, place: Path, number: int) -> None:
    text = blocks("lighttpd")[number]
    done = check(text, place)
    assert done.returncode == 0, done.stderr
    path = place / "page.conf"
    path.write_text(text, "utf-8")
    done = box.run("check", path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", commands())
def test_the_recipe_takes_its_options(box: Box, projects: Projects, line: str) -> None:
    known = {
        "/srv/projects": str(projects.parent),
        "/srv/trac.htpasswd": str(projects.passwords()),
        "/srv/trac": str(projects.single),
        "/srv/a": str(projects.project("alpha")),
        "/srv/b": str(projects.project("beta")),
    }
    words = [known.get(word, word) for word in shlex.split(line)[1:]]
    done: subprocess.CompletedProcess[str] = box.run(*words, "--print")
    assert done.returncode == 0 and "server.bind" in done.stdout, done.stderr
