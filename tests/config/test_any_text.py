"""Whatever the text: it is a configuration, or a ConfigurationError that can be printed."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.config import OPTIONS, ConfigurationError, load
from appliance.config.host_keys import KEYS
from appliance.config.regex import compile_pattern
from tests.config.subjects import Request

EMPTY = Path("/var/empty/fcgibox")

words = st.sampled_from(
    [
        *(
            '"',
            "\\",
            '\\"',
            "(",
            ")",
            "{",
            "}",
            ",",
            "=>",
            "=",
            "+=",
            ":=",
            "+",
            "==",
            "=~",
            "!~",
            "=^",
            "=$",
            "!=",
        ),
        *(
            "\n",
            " ",
            "# c\n",
            "$HTTP",
            "$SERVER",
            "$REQUEST_HEADER",
            "[",
            "]",
            "else",
            "elsif",
            "if",
            "global",
        ),
        *('"host"', '"url"', '"socket"', '"remoteip"', '"/x"', '"^/(a|b)"', '"10.0.0.0/8"', '"enable"', '""'),
        *(
            "0",
            "1",
            "80",
            "99999999999999999999",
            "x",
            "var.x",
            "env.HOME",
            "-",
            ";",
            "'",
            "\0",
            "\r",
            "\ufeff",
        ),
        *(
            'include "x"\n',
            'include_shell "x"\n',
            'server.modules = ( "mod_fastcgi", "mod_auth", "mod_alias" )\n',
        ),
        *(f"{name} = " for name in OPTIONS),
        *(f'"{name}" => ' for name in KEYS),
        *('"method" => "basic", ', '"realm" => "r", ', '"require" => "user=a"', '"/a" => ( ', "(( ", " ))"),
    ]
)


def survives(text: str) -> None:
    """Read a text, and if it can be served, look something up in it."""
    try:
        configuration = load(text, "any.conf", EMPTY)
    except ConfigurationError as error:
        assert error.diagnostics
        str(error).encode()
        assert all(diagnostic.position.line >= 0 for diagnostic in error.diagnostics)
    else:
        matcher = configuration.matcher()
        first = matcher.settings_for(Request())
        assert matcher.settings_for(Request()) is first
        matcher.settings_for(Request("", "", remote_address="", socket=""))
        assert configuration.listeners() and configuration.pools() is not None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(words, max_size=60).map(" ".join))
def test_words_of_the_language_in_any_order(text: str) -> None:
    survives(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    survives(text)


@settings(max_examples=300, deadline=None)
@given(st.text("()[]{}?|*+^$.\\<>=!:#P'ikRaxQE0129,-&~ \n", max_size=20))
def test_any_expression(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except ValueError as error:
        assert str(error)
    else:
        compiled.search("/aax")


values = st.recursive(
    st.sampled_from(['"/x"', '"enable"', "1", '"basic"', '"valid-user"', '"10.0.0.1"', '"a b"']),
    lambda inner: st.lists(
        st.tuples(st.sampled_from(["", '"/a" => ', '".b" => ', *(f'"{key}" => ' for key in KEYS)]), inner),
        max_size=4,
    ).map(lambda items: "( " + ", ".join(key + value for key, value in items) + " )"),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(sorted(OPTIONS)), values), max_size=6, unique_by=lambda item: item[0])
)
def test_any_value_for_any_option(assignments: list[tuple[str, str]]) -> None:
    survives("\n".join(f"{name} = {value}" for name, value in assignments))
