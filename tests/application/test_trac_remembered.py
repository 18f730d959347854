"""What is remembered of Trac's work changes nothing of its results."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.application import trac_remembered as remembered
from appliance.application.trac_remembered import Matches

RULES = re.compile(r"(?P<bold>''')|(?P<link>\[[^]]*\])|(?P<word>\b[A-Z][a-z]+[A-Z]\w+)|(?P<empty>(?=x))|^ +")
TEXT = st.text(alphabet="'[] xABab\nä", max_size=40)


def shown(match: re.Match[str]) -> str | None:
    return None if match[0] == "'''" else f"<{match.lastgroup}:{match[0]}>"


@given(st.lists(TEXT, max_size=6))
def test_replaces_as_re_does(lines: list[str]) -> None:
    matches = Matches()
    for line in lines + lines:
        assert matches.sub(RULES, shown, line) == re.sub(RULES, shown, line)  # type: ignore[arg-type]


def test_two_expressions_are_told_apart() -> None:
    matches = Matches()
    for pattern in (re.compile("a+"), re.compile("b+")):
        assert matches.sub(pattern, lambda match: "-", "aabb") == pattern.sub("-", "aabb")


def test_what_is_not_remembered_is_left_to_re() -> None:
    matches = Matches()
    assert matches.sub("a", "b", "banana") == "bbnbnb"
    assert matches.compile("a") is re.compile("a")
    long = "aB" * remembered._LONGEST_LINE
    assert matches.sub(re.compile("B"), lambda match: "", long) == long.replace("B", "")
    assert not matches._lines


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MATCHES", 50)
    monkeypatch.setattr(remembered, "_LINES", 20)
    monkeypatch.setattr(remembered, "_PATTERNS", 3)
    matches = Matches()
    for number in range(200):
        pattern = re.compile(f"a|{number % 7}")
        line = f"{number} {'a' * (number % 30)}"
        assert matches.sub(pattern, lambda match: "-", line) == pattern.sub("-", line)
        assert len(matches._lines) <= 20
        assert len(matches._patterns) <= 3
        assert matches._count == sum(map(len, matches._lines.values())) <= 50
