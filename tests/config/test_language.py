"""The language: values, variables, scopes, includes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.config import Configuration, ConfigurationError, load, load_file
from tests.config.subjects import Request


def tag(text: str, **request: str) -> str:
    """What server.tag is after a text, which is how a string value comes to light."""
    configuration = load(text, "test.conf")
    return configuration.matcher().settings_for(Request(**request)).string("server.tag")  # type: ignore[arg-type]


def reasons(text: str, base: Path | None = None) -> list[str]:
    """Why a text is refused: one reason per error."""
    with pytest.raises(ConfigurationError) as caught:
        load(text, "test.conf", base)
    return [diagnostic.reason for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('"plain"', "plain"),
        (r'"a \"quoted\" word"', 'a "quoted" word'),
        (r'"^/a\.b\n$"', r"^/a\.b\n$"),
        ('"a" + "b" + "c"', "abc"),
        ('"a" + 1 + 2', "a12"),
        ('1 + 2 + "a"', "3a"),
        ('"a" +\n\n  # a comment\n  "b"', "ab"),
        ('\n "next line"', "next line"),
        ('"# no comment" # but this is', "# no comment"),
        ('"two\nlines"', "two\nlines"),
        ('"tail" server.name = "x"', "tail"),
        ('""', ""),
        ('"\u00e9\U0001f600"', "\u00e9\U0001f600"),
    ],
)
def test_a_string_is_read_as_lighttpd_reads_it(expression: str, value: str) -> None:
    assert tag(f"server.tag = {expression}\n") == value


def test_variables_are_looked_up_outwards_and_set_inwards() -> None:
    text = """
        x = "outer"
        $HTTP["url"] =^ "/a" {
            x = "inner"
            y = x + "!"
            $HTTP["host"] == "h" { server.tag = y + var.x }
        }
        server.tag = x
    """
    assert tag(text, path="/a", host="h") == "inner!inner"
    assert tag(text, path="/b") == "outer"


def test_append_goes_on_from_the_scope_around() -> None:
    text = """
        server.modules = ( "mod_access" )
        server.modules += ( "mod_alias" )
        url.access-deny = ( "~" )
        $HTTP["url"] =^ "/a" { url.access-deny += ( ".inc" ) }
        $HTTP["url"] =^ "/b" { url.access-deny = ( ".inc" ) }
        server.tag += "made"
    """
    configuration = load(text, "test.conf")
    settings = configuration.matcher().settings_for
    assert configuration.settings.strings("server.modules") == ("mod_access", "mod_alias")
    assert settings(Request("/a")).strings("url.access-deny") == ("~", ".inc")
    assert settings(Request("/b")).strings("url.access-deny") == (".inc",)
    assert settings(Request("/c")).strings("url.access-deny") == ("~",)
    assert tag(text) == "made"


def test_an_option_can_be_read_like_a_variable() -> None:
    assert tag('server.port = 8080\nserver.tag = "on " + server.port\n') == "on 8080"


def test_colon_equals_sets_again_and_equals_does_not() -> None:
    assert tag('server.tag = "a"\nserver.tag := "b"\n') == "b"
    assert reasons('server.tag = "a"\nserver.tag = "b"\n') == ['"server.tag" is set twice in the same scope']


def test_global_sets_the_outermost_scope_from_inside() -> None:
    text = '$HTTP["host"] == "h" { global { server.tag = "g" } }'
    assert tag(text, host="other") == "g"


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCGIBOX_TEST", "8123")
    configuration = load('server.port = env.FCGIBOX_TEST\nserver.tag = var.CWD + "|" + var.PID', "test.conf")
    assert configuration.settings.integer("server.port") == 8123
    assert configuration.settings.string("server.tag") == f"{os.getcwd()}|{os.getpid()}"
    assert reasons("server.tag = env.FCGIBOX_NOT_SET") == [
        'the environment has no variable "FCGIBOX_NOT_SET"'
    ]
    assert reasons('env.FCGIBOX_TEST = "x"') == ["the environment can be read, but not set"]


def test_equal_conditions_are_one_block() -> None:
    text = """
        $HTTP["url"] =~ "^/a" { server.tag = "one" }
        $HTTP["host"] == "h" { server.tag = "host" }
        $HTTP["url"] =^ "/a" { server.name = "two" }
    """
    configuration = load(text, "test.conf")
    assert len(configuration.blocks) == 2
    settings = configuration.matcher().settings_for(Request("/a/b"))
    assert (settings.string("server.tag"), settings.string("server.name")) == ("one", "two")
    again = text + '$HTTP["url"] =^ "/a" { server.tag = "three" }'
    assert reasons(again) == ['"server.tag" is set twice in the same scope']


def test_arrays_nest_and_forgive_commas() -> None:
    text = """
        server.modules = ( "mod_alias", )
        paths = (
            "/a" => "/x",
            # the next one is joined from parts
            "/" + "b"
              =>
            "/y" + "/z",
        )
        alias.url = paths + ( "/c" => "/w" )
    """
    pairs = load(text, "test.conf").settings.pairs("alias.url")
    assert pairs == (("/a", "/x"), ("/b", "/y/z"), ("/c", "/w"))


def test_includes_are_relative_to_the_main_file(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "b.conf").write_text('server.name = x + "b"\n')
    (tmp_path / "parts" / "a.conf").write_text('x = "a"\ninclude "parts/last.txt"\n')
    (tmp_path / "parts" / "last.txt").write_text('server.tag = "last"')
    main = tmp_path / "main.conf"
    main.write_text('include "parts/*.conf"\ninclude "none/*.conf"\n')
    configuration = load_file(main)
    assert configuration.settings.string("server.name") == "ab"
    assert configuration.settings.string("server.tag") == "last"
    assert [Path(name).name for name in configuration.files] == ["a.conf", "last.txt", "b.conf"]


def test_an_error_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "part.conf").write_text('server.tag = "fine"\nserver.port = \n')
    main = tmp_path / "main.conf"
    main.write_text('include "part.conf"\ninclude "missing.conf"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_file(main)
    assert [str(diagnostic.position) for diagnostic in caught.value.diagnostics] == [
        f"{tmp_path}/part.conf:3:1",
        f"{main}:2:9",
    ]
    assert "missing.conf cannot be read: No such file" in str(caught.value)


def test_a_file_that_includes_itself_ends_in_a_message(tmp_path: Path) -> None:
    main = tmp_path / "main.conf"
    main.write_text('include "main.conf"\n')
    with pytest.raises(ConfigurationError, match="too many includes"):
        load_file(main)


def test_a_shell_runs_only_if_allowed(tmp_path: Path) -> None:
    text = 'include_shell "echo \'server.tag = \\"from a shell\\"\'"\n'
    assert load(text, "t", tmp_path, allow_shell=True).settings.string("server.tag") == "from a shell"
    assert reasons(text) == ["include_shell is not allowed"]
    with pytest.raises(ConfigurationError, match="ended with status 3"):
        load('include_shell "echo oops >&2; exit 3"', "t", tmp_path, allow_shell=True)


def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        load_file(tmp_path / "missing.conf")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load_file(tmp_path)


def listeners(text: str) -> list[str]:
    """The names of the listeners of a text."""
    configuration: Configuration = load(text, "test.conf")
    return [listener.name for listener in configuration.listeners()]


@pytest.mark.holds("server.bind", "server.port")
def test_listeners_come_from_bind_port_and_socket_blocks() -> None:
    assert listeners("") == ["0.0.0.0:80"]
    assert listeners('server.bind = "127.0.0.1"\nserver.port = 8000') == ["127.0.0.1:8000"]
    assert listeners('server.bind = "[::1]"\nserver.port = 8000') == ["[::1]:8000"]
    assert listeners('server.bind = "/run/x.sock"') == ["unix:/run/x.sock"]
    assert listeners('server.bind = "unix:/run/x.sock"') == ["unix:/run/x.sock"]
    text = """
        $SERVER["socket"] == ":81" { }
        $SERVER["socket"] == "[::]" { server.listen-backlog = 5 }
        $SERVER["socket"] == "/run/y.sock" { }
        $SERVER["socket"] == "0.0.0.0:81" { }
        $SERVER["socket"] != "10.0.0.1:82" { }
        server.bind = "localhost"
        server.port = 8000
    """
    assert listeners(text) == ["127.0.0.1:8000", "0.0.0.0:81", "[::]:8000", "unix:/run/y.sock"]
    assert load(text, "t").listeners()[2].backlog == 5
    settings = load('$SERVER["socket"] == "[::1]" { server.tag = "6" }\nserver.port = 8000', "t").matcher()
    assert settings.settings_for(Request(socket="[::1]:8000")).string("server.tag") == "6"


@pytest.mark.parametrize(
    "text",
    [
        'server.bind = "127.0.0.1:8000"',
        'server.bind = "[::1]:8000"',
        'server.bind = "unix:relative"',
        f'server.bind = "/{"x" * 107}"',
        'server.bind = "no such name"',
        '$SERVER["socket"] == "127.0.0.1:0" { }',
        '$SERVER["socket"] == "127.0.0.1:65536" { }',
        '$SERVER["socket"] == "[::1" { }',
    ],
)
def test_an_address_that_cannot_be_is_refused(text: str) -> None:
    assert len(reasons(text)) == 1
