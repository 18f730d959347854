"""The language beside a real lighttpd: what it accepts has the same values, what it refuses is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from appliance.config import ConfigurationError, load
from appliance.config.diagnostic import Report
from appliance.config.evaluation import Evaluator
from appliance.config.values import Array, Value

ACCEPTED = [
    'x = "a\\"b\\c\\n$1"',
    'x = "a" + 1 + 2\ny = 1 + 2 + "a"\nz = 1 + 2',
    'x = ("a", "b") + ("c")\ny = x + ("e")\nz = ("a" => 1) + ("b" => x)',
    'x = ("a",)\ny = (,)\nz = ("a",,"b")\nw = ()',
    'x = ("a"\n => "b"\n,\n"c" => ("d","e"))\nz = "x" +\n "y"\nw = \n "v"',
    'x = "two\nlines"\ny = 08',
    'x = "a" y = "b"\tz = "c" # comment',
    'x = "a"\nx += "b"\n$HTTP["host"] == "h" { x += "c"\n y = x }',
    'x = "a"\n$HTTP["host"] == "h" { x = "b" y = x }\nz = x',
    'x = "a"\nx := "b"\nserver.port = 80\nserver.port := 81\ny = server.port + "!"',
    'x = 5\nx += 5\nx += "a"\ny += "q"\nserver.tag += "t"',
    'server.modules = ("mod_alias")\nserver.modules += ("mod_access")\nalias.url = ("/a" => "/b")\n'
    '$HTTP["host"] == "h" { alias.url += ("/c" => "/d") }\n'
    '$HTTP["host"] == "i" { alias.url = ("/e" => "/f") }',
    'var.a.b = 5\nc = var.a.b\nx = ("a" + "b" => "c" + 1, 1 => "d")',
    "e = env.HOME\nf = var.CWD",
    '$HTTP["host"] == "h" { x = "a" } else $HTTP["host"] == "i" { x = "b" } else { x = "c" }',
    '$HTTP["host"] == "h" { x = "a" }\n# c\n\nelse\n{ x = "b" }',
    '$HTTP["url"] =~ "^/a" {\n}\n$HTTP["url"] =~ "^/a" {\n x = "1"\n}\n$HTTP["url"] =^ "/a" { y = "2" }',
    '$HTTP["host"] == "h" {\n $HTTP["url"] =^ "/x" { x = "a" }\n $HTTP["url"] =$ ".php" { y = "a" }\n'
    ' global { z = "g" }\n}\nw = z',
    '$HTTP ["host"] == "x" { x = "1" }\n$HTTP[ "ho" + "st" ]=="y"{y="2"}',
    '$HTTP["remoteip"] == "10.0.0.0/8" { x = "1" }\n$HTTP["remote-ip"] != "2001:db8::/32" { x = "2" }',
    '$SERVER["socket"] == ":81" { x = "1" }\n$SERVER["socket"] == "[::1]:82" { x = "2" }',
    '$REQUEST_HEADER["X-Y"] =~ "^z$" { x = "1" }\n$HTTP["language"] !~ "de" { x = "2" }',
    'include_shell "echo x=5"\ny = x',
    'include "part.conf"\ninclude "none*.conf"\nz = part',
    'server.modules = ("mod_fastcgi")\np = ( "check-local" => "disable" )\n'
    'fastcgi.server = ( "/a" => ( ( "socket" => "/tmp/a" ) + p, ( "socket" => "/tmp/b" ) + p ),\n'
    ' ".b" => ( "name" => ( "host" => "127.0.0.1", "port" => 9000 ), ) )',
]

REFUSED = [
    'x = "a',
    'x = "a\\\\"',
    "x = enable",
    "x = nope",
    "x = env.FCGIBOX_NO_SUCH",
    'env.X = "y"',
    "x = -5",
    "x = 0x10",
    'x = ("a" => )',
    'x = ("a" => 1, "a" => 2)',
    'x = ("a" => 1) + ("a" => 2)',
    'x = ("a") + "b"',
    'x = "b" + ("a")',
    'x = ("a")\nx += "b"',
    'x = "a"\nx = "b"',
    "x = ( 1, 2",
    '$HTTP["host"] == "h" { x = "1"',
    '$HTTP["host"] == "h" { a = "1" }\nx = a',
    '$HTTP["host"] == "h" { } else { } else { }',
    '$HTTP["foo"] == "h" { }',
    '$PHYSICAL["path"] == "h" { }',
    '$SERVER["foo"] == "h" { }',
    '$HTTP["host"] == 5 { }',
    '$HTTP["host"] =~ "(" { }',
    '$HTTP["host"] < "h" { }',
    '$HTTP["remoteip"] == "junk" { }',
    "server.name = 'x'",
    'server.name = "x";',
    'include "missing.conf"',
    'include_shell "exit 1"',
]

# What only the check of a whole configuration finds: lighttpd -tt.
REFUSED_VALUES = [
    'server.range-requests = "on"',
    'server.port = "80x"',
    "server.tag = 5",
    'index-file.names = ( "a" => "index.html" )',
    'mimetype.assign = ( "text/html" )',
    'server.modules = ( "mod_nope" )',
    'server.bind = "0.0.0.0:8000"',
    *(
        f'server.modules = ( "mod_fastcgi" )\nfastcgi.server = {servers}'
        for servers in (
            '( "x" )',
            '( "/x" => "a" )',
            '( "/x" => ( "socket" => "/tmp/x" ) )',
            '( "/x" => (( "socket" => "/tmp/x", "host" => "127.0.0.1" )) )',
            '( "/x" => (( "port" => 1 )) )',
            '( "/x" => (( "socket" => "/tmp/x", "port" => "high" )) )',
            '( "/x" => (( "socket" => "/tmp/x", "check-local" => "on" )) )',
            '( "/x" => (( "socket" => "/tmp/x", "bin-environment" => ( "a" => 1 ) )) )',
            '( "/x" => (( "socket" => "/tmp/x", "x-sendfile-docroot" => ( "a" ) )) )',
            f'( "/x" => (( "socket" => "/tmp/{"x" * 120}" )) )',
        )
    ),
    *(
        f'server.modules = ( "mod_auth" )\nauth.require = ( "/x" => ( {rule} ) )'
        for rule in (
            '"method" => "basic", "realm" => "r", "require" => "nonsense"',
            '"method" => "basic", "realm" => "r", "require" => ""',
            '"method" => "base", "realm" => "r", "require" => "valid-user"',
            '"realm" => "r", "require" => "valid-user"',
            '"method" => "basic", "require" => "valid-user"',
            '"method" => "basic", "realm" => "r", "require" => "valid-user", "foo" => "x"',
        )
    ),
]


def lighttpd(option: str, text: str, place: Path) -> str | None:
    """What lighttpd prints about a text; None if it refuses it."""
    (place / "part.conf").write_text('part = "included"\n')
    config = place / "test.conf"
    config.write_text(text + "\n")
    done = subprocess.run(
        ["lighttpd", option, "-f", str(config)],
        capture_output=True,
        text=True,
        cwd=place,
        timeout=30,
        check=False,
    )
    return done.stdout if done.returncode == 0 and "parser failed" not in done.stderr else None


def scopes(text: str, place: Path) -> list[dict[str, object]]:
    """The plain values of each scope in order, but for what is built in."""
    report = Report()
    evaluator = Evaluator(place, report, allow_shell=True)
    evaluator.text(text, "test.conf")
    report.raise_errors()
    return [
        {
            name: plain(assigned.value)
            for name, assigned in (*scope.values.items(), *scope.variables.items())
            if name not in ("var.CWD", "var.PID")
        }
        for scope in evaluator.scopes
    ]


def plain(value: Value) -> object:
    """A value without places."""
    if isinstance(value.content, Array):
        return [(element.key, plain(element.value)) for element in value.content]
    return value.content


def printed(output: str) -> str:
    """The configuration that lighttpd printed, without the braces around it and what is built in."""
    lines = output.strip().splitlines()
    assert (lines[0], lines[-1]) == ("config {", "}")
    return "\n".join(line for line in lines[1:-1] if not line.lstrip().startswith(("var.CWD ", "var.PID ")))


@pytest.mark.parametrize("text", ACCEPTED)
def test_values_are_those_that_lighttpd_prints(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = lighttpd("-p", text, tmp_path)
    assert output is not None
    assert scopes(text, tmp_path) == scopes(printed(output), tmp_path)


@pytest.mark.parametrize("text", REFUSED)
def test_what_lighttpd_cannot_read_we_do_not_either(text: str, tmp_path: Path) -> None:
    assert lighttpd("-p", text, tmp_path) is None
    with pytest.raises(ConfigurationError):
        scopes(text, tmp_path)


@pytest.mark.parametrize("text", REFUSED_VALUES)
def test_what_lighttpd_refuses_to_start_with_we_do_too(text: str, tmp_path: Path) -> None:
    assert lighttpd("-tt", f'server.document-root = "/tmp"\n{text}', tmp_path) is None
    with pytest.raises(ConfigurationError):
        load(text, "test.conf", tmp_path)


def test_debians_own_configuration_is_fine() -> None:
    path = Path("/etc/lighttpd/lighttpd.conf")
    configuration = load(path.read_text(), str(path), path.parent, allow_shell=True)
    assert configuration.settings.strings("index-file.names") == ("index.php", "index.html")
    assert dict(configuration.settings.pairs("mimetype.assign"))[".html"].startswith("text/html")
    assert [listener.name for listener in configuration.listeners()] == ["0.0.0.0:80", "[::]:80"]
