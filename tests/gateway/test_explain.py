"""`fcgibox explain`: what it says is what the running server does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.gateway.responder import Responder


def text(place: Path) -> str:
    """Rewriting, variables, a login, a redirect, and one application for all that is dynamic."""
    return f"""
        server.modules = ( "mod_fastcgi", "mod_rewrite", "mod_setenv", "mod_redirect", "mod_auth",
                           "mod_authn_file", "mod_access" )
        server.document-root = "{place}/www"
        mimetype.assign = ( ".txt" => "text/plain" )
        url.access-deny = ( "~" )
        auth.backend = "plain"
        auth.backend.plain.userfile = "{place}/users"
        fastcgi.server = ( ".php" => (( "socket" => "{place}/app.sock" )),
                           "/api" => (( "socket" => "{place}/app.sock", "check-local" => "disable" )) )
        $HTTP["host"] == "one.example" {{
            setenv.add-environment = ( "SITE" => "one" )
            url.rewrite-once = ( "^/page/(.*)" => "/index.php?page=$1" )
            $HTTP["url"] =~ "^/(old|older)/" {{ url.redirect = ( "^/old(.*)" => "/new$1" ) }}
        }}
        $HTTP["url"] =^ "/api/closed" {{
            auth.require = ( "" => ( "method" => "basic", "realm" => "r", "require" => "valid-user" ) )
        }}
        """


@pytest.fixture
def site(place: Path) -> Iterator[Path]:
    (place / "www").mkdir()
    for name in ("index.php", "a.txt", "a.txt~"):
        (place / "www" / name).write_text(name)
    (place / "users").write_text("joe:joepw\n")
    yield place


def explain(box: Box, *words: str) -> subprocess.CompletedProcess[str]:
    return box.run("explain", *words)


def parameters(said: str) -> list[tuple[bytes, bytes]]:
    """The pairs among the lines."""
    lines = [line.strip() for line in said.split(", gets\n")[1].splitlines()]
    return [(name.encode(), value.encode()) for name, _, value in (line.partition("=") for line in lines)]


@pytest.mark.parametrize(
    ("host", "target"),
    [("one.example", "/page/x%20y?"), ("two.example", "/index.php/info?q=1"), ("one.example", "/api/a/b")],
)
def test_the_parameters_are_those_of_the_server(box: Box, site: Path, host: str, target: str) -> None:
    responder = Responder(site / "app.sock")
    (site / "app.sock").chmod(0o666)
    try:
        box.serve(text(site))
        with box.wire() as wire:
            fields = {"Host": host, "X-Odd": "a=b"}
            assert wire.get(target, fields).status == 200
            port = wire.sock.getsockname()[1]
        done = explain(box, "--header", "X-Odd: a=b", "box.conf", "get", f"http://{host}{target}")
        assert done.returncode == 0, done.stderr
        real = [(name, b"40000" if value == str(port).encode() else value) for name, value in responder.pairs]
        assert parameters(done.stdout) == real
    finally:
        responder.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "/a.txt",
            ["blocks that hold  none", "static            answers with 200", "Content-Type: text/plain"],
        ),
        ("/a.txt~", ["access            answers with 403"]),
        ("/nothing", ["answers with 404"]),
        (
            "http://one.example/old/x",
            ['$HTTP["url"] =~ "^/(old|older)/"', "redirect          answers with 301", "Location: /new/x"],
        ),
        (
            "http://one.example/page/x",
            ["the path becomes /index.php", "setenv            adds the variables SITE", "SITE=one"],
        ),
        (
            "/api/closed",
            ['$HTTP["url"] =^ "/api/closed"', "auth              asks for a login", "REMOTE_USER=USER"],
        ),
    ],
)
def test_each_step_is_said(box: Box, site: Path, url: str, said: list[str]) -> None:
    done = explain(box, str(box.configure(text(site))), "GET", url)
    assert done.returncode == 0, done.stderr
    assert [words for words in said if words not in done.stdout] == [], done.stdout


def test_what_cannot_be_explained(box: Box, site: Path) -> None:
    path = str(box.configure(text(site)))
    refused = explain(box, path, "GET", "nonsense")
    assert refused.returncode == 1 and "refuses this request with 400" in refused.stderr
    wrong = explain(box, str(box.configure("server.prot = 80")), "GET", "/")
    assert wrong.returncode == 1 and 'did you mean "server.port"?' in wrong.stderr
