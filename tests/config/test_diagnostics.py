"""What is said about a configuration that is wrong: place, reason, way out; everything at once."""

from __future__ import annotations

import pytest

from appliance.config import ConfigurationError, load


def message(text: str) -> str:
    """The whole message for a text that is refused."""
    with pytest.raises(ConfigurationError) as caught:
        load(text, "box.conf")
    return str(caught.value)


def test_all_errors_come_at_once_in_the_order_of_the_text() -> None:
    text = """\
server.modules = ( "mod_fastcgi", "mod_acess" )
server.prot = 8000
\tserver.tag = 5
fastcgi.server = ( "/x" => (( "sokcet" => "/run/x.sock" )) )
alias.url = ( "/a" => "/b" )
$HTTP["hots"] == "x" { }
server.range-requests = enable
"""
    assert (
        message(text)
        == """\
box.conf:1:35: error: there is no module "mod_acess"
    server.modules = ( "mod_fastcgi", "mod_acess" )
                                      ^^^^^^^^^^^
    did you mean "mod_access"?
box.conf:2:1: error: there is no option "server.prot"
    server.prot = 8000
    ^^^^^^^^^^^
    did you mean "server.port"?
box.conf:3:15: error: a number where server.tag takes a string: "…"
     server.tag = 5
                  ^
box.conf:4:31: error: a host has no key "sokcet"
    fastcgi.server = ( "/x" => (( "sokcet" => "/run/x.sock" )) )
                                  ^^^^^^^^
    did you mean "socket"?
box.conf:5:1: error: alias.url belongs to mod_alias, which server.modules does not list
    alias.url = ( "/a" => "/b" )
    ^^^^^^^^^
    add the line: server.modules += ( "mod_alias" )
box.conf:6:7: error: $HTTP has no "hots"
    $HTTP["hots"] == "x" { }
          ^^^^^^
    did you mean "host"?
box.conf:7:25: error: write "enable" between quotes: a bare word is a variable
    server.range-requests = enable
                            ^^^^^^"""
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('x = "a" "b"', "1:9: error: a string where a statement should begin"),
        ('x = ( "a" => "b" "c" )', "1:18: error: a string where a comma or ) should be"),
        ("x = ( 1, 2", "1:5: error: this ( has no closing )"),
        ("x = ( 1, 2\ny = 3\nz = 4", "1:5: error: this ( has no closing )"),
        ('$HTTP["url"] == "/" {', "1:21: error: this { has no closing }"),
        ('$HTTP["url"] = "/" { }', "to compare, write =="),
        ('$HTTP["url"] "/" { }', "1:14: error: a string where one of == != =~ !~ =^ =$ should be"),
        ('server.tag == "x"', "values are compared in conditions only"),
        ("server.tag", '1:11: error: the end of the text after "server.tag" where = += or := should be'),
        ("}", "1:1: error: this } closes no block"),
        ('else { server.tag = "x" }', '1:1: error: "else" follows no condition block'),
        (
            '$HTTP["url"] == "/" { } else { } else { }',
            "1:34: error: nothing can follow a plain else",
        ),
        ("server.root = /srv/x y = 1", "1:15: error: /srv/x has no meaning outside a string"),
        ("server.tag = 'x'", "strings stand between double quotes"),
        ("server.port = 80;", "a statement ends with its line"),
        ("server.port = -1", "numbers have no sign"),
        ("server.port = 80x", '1:15: error: "80x" is neither a number nor a name'),
        ("x = 2147483648", "1:5: error: this number is beyond the largest possible one"),
        ("x = 2147483647 + 1", "this sum is beyond the largest number"),
        ('server.tag = "open\nserver.port = 80', "1:14: error: this string has no closing quote"),
        ('server.tag = "C:\\"', "a backslash cannot be the last character"),
        ('x = ( "a" => 1, "a" => 2 )', '1:17: error: the key "a" stands twice in this array'),
        ('x = ( "a" => 1 ) + ( "a" => 2 )', 'the key "a" stands twice'),
        ('x = ( "a" ) + "b"', "an array and a string cannot be joined by +"),
        ('x = ( ( "a" ) => "b" )', "the key of an array's element is a string"),
        (
            'server.name = "x"\nserver.name = "y"',
            "it is set in box.conf:1:1; := sets it again, += adds to it",
        ),
        ('root = "/srv"\nserver.tag = rooot', 'did you mean "root"?'),
        ('include ( "x" )', "an array where the name of a file should be"),
        ("x = " + "(" * 60 + ")" * 60, "more than 50 levels"),
        ('server.tag = "\0"', "this string holds a NUL character"),
        ("\x07", "U+0007 has no meaning outside a string"),
    ],
)
def test_a_mistake_is_explained(text: str, said: str) -> None:
    assert said in message(text)
    assert message(text).count(": error: ") == 1


@pytest.mark.parametrize(
    "text",
    [
        'x = "a" "b"\ny = ( 1 2 )\nserver.tag = = 5\nserver.port = "fine later"',
        'x = ( "a"\ny = 1 2\n$HTTP["host"] { }\nserver.name = "fine"',
    ],
)
def test_reading_goes_on_after_a_syntax_error(text: str) -> None:
    assert message(text).count(": error: ") == 3


def test_a_failed_variable_is_not_reported_at_each_use() -> None:
    text = "root = nowhere\na = root\nserver.tag = root + a\nserver.name = root\n"
    assert message(text).count(": error: ") == 1


def test_a_long_line_is_cut_around_the_caret() -> None:
    said = message("x = " + " " * 300 + "nowhere" + " " * 300 + "# end").splitlines()
    assert len(said[1]) <= 124
    caret = said[2].index("^")
    assert said[1][caret : caret + 7] == "nowhere"


def test_control_characters_do_not_reach_the_terminal() -> None:
    said = message('server.tag = nowhere # \x1b[2J\n"\x1b[2J" = \udcff')
    assert "\x1b" not in said
    said.encode()


def test_what_has_no_effect_is_named_once() -> None:
    text = """
        server.event-handler = "linux-sysepoll"
        debug.log-request-handling = "enable"
        $HTTP["host"] == "a" { debug.log-request-handling = "disable" }
        server.modules = ( "mod_webdav", "mod_fastcgi" )
    """
    notices = load(text, "t").notices
    assert [notice.reason.split(":")[0] for notice in notices] == [
        '"mod_webdav" is not supported yet; without its options the server can do without it',
        "server.event-handler has no effect here",
        "debug.log-request-handling has no effect here",
    ]
    assert notices[1].sentence.startswith("t:2:9: server.event-handler has no effect here: ")


def test_adding_to_what_failed_is_no_error_of_its_own() -> None:
    text = 'server.modules = nowhere\nserver.modules += ( "mod_alias" )\nalias.url = ( "/a" => "/b" )\n'
    assert message(text).count(": error: ") == 1
