"""Regular expressions: PCRE's meaning in Python, with PCRE itself (GNU grep -P) as the oracle."""

from __future__ import annotations

import re
import subprocess

import pytest

from appliance.config.regex import beginning, compile_pattern, translate

SUBJECTS = [
    "/",
    "/trac/wiki",
    "/trac/chrome/common/css/trac.css",
    "/Trac/WIKI",
    "/index.php",
    "/aab/bba",
    "/a{,3}b",
    "/x y\tz",
    "/a-b_c.d~e",
    "www.example.org",
    "192.0.2.7",
    "/[x]/]y^z",
    "foo=1&bar=2",
    "abcabc",
    "\\d",
    "",
]


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".",
        "^/trac(?!/chrome/common)",
        "^/projects/[^/]+/login$",
        r"\.php$",
        r"^/(?:a|b)+/",
        r"\A/trac",
        r"wiki\z",
        r"wiki\Z",
        r"\h",
        r"[\h]y",
        r"\H\H",
        r"\Q[x]\E/",
        r"\Q.*",
        "(?i)TRAC",
        "a(?i)B|C",
        "^/(?i:trac)/wiki",
        "/(?i)trac/wiki|php",
        "((?i)TRAC)/wiki",
        "(?<word>[a-z]+)=1",
        "(?P<word>abc)(?P=word)",
        r"(?'word'abc)\k<word>",
        r"(abc)\1",
        r"(abc)\g1",
        r"(abc)\g{1}",
        "[[:alpha:]]+=[[:digit:]]",
        "[[:upper:][:digit:]]",
        "[]y]",
        "[^]x]",
        "[[x]",
        r"[\]x]y",
        "[a-b-]_",
        "a{,3}b",
        "a{2}",
        "a{1,2}b",
        "/a{",
        r"\x2ephp",
        r"\x{2e}php",
        r"\056php",
        r"a++b",
        "(?>a+)b",
        "(?<=/)w",
        "(?<!/)w",
        "(?#a comment)trac",
        "(?-i)trac",
        r"\bwiki\b",
        r"\w+\.\d",
        r"\\d",
        r"\/trac\/",
        "~",
        "&&",
        "[&&]",
        "[a||b]x",
        "(a)?(?(1)b|/x)",
    ],
)
def test_an_expression_means_what_pcre_takes_it_for(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    oracle = subprocess.run(
        ["grep", "-P", "-n", "-e", pattern],
        input="\n".join(SUBJECTS) + "\n",
        capture_output=True,
        text=True,
        env={"LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert oracle.returncode in (0, 1), oracle.stderr
    expected = [int(line.partition(":")[0]) for line in oracle.stdout.splitlines()]
    found = [number for number, subject in enumerate(SUBJECTS, 1) if compiled.search(subject)]
    assert found == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a**",
        "[a",
        "[b-a]",
        "\\",
        "(?R)",
        "(a)(?1)",
        "(?&name)",
        "(?P>name)",
        r"(a)\g<1>",
        "(?|a|b)",
        "(*SKIP)a",
        "(*UTF8)a",
        r"\p{L}",
        r"\X",
        r"\Ka",
        r"\G",
        r"\cA",
        "(?x) a b",
        "(?U)a+",
        "(?J)a",
        "(?(R)a|b)",
        "(?(?=a)a|b)",
        "[[.a.]]",
        "[[=a=]]",
        "[[:nothing:]]",
        "[[:^alpha:]]",
        r"\x{110000}",
        r"\xzz\1",
        "(?#open",
        "(?<=a+)b",
        "x" * 9000,
        "(" * 2000 + ")" * 2000,
    ],
)
def test_what_cannot_have_the_same_meaning_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "anchored", "text", "rest"),
    [
        ("^/trac", True, "/trac", ""),
        (r"^/a\.b$", True, "/a.b", "$"),
        (r"\.php$", False, ".php", "$"),
        ("^/trac(/|$)", True, "/trac", "(/|$)"),
        ("^/tracs?", True, "/trac", "s?"),
        ("^/tracs*", True, "/trac", "s*"),
        ("^/tracs+", True, "/tracs", "+"),
        ("^/tracs{0}", True, "/trac", "s{0}"),
        ("^/a|^/b", True, "", "/a|^/b"),
        ("^/[|]", True, "", "/[|]"),
        ("^/(a|b)|c", True, "", "/(a|b)|c"),
        ("(?i)^/a", False, "", "(?i)^/a"),
        ("", False, "", ""),
    ],
)
def test_the_plain_beginning_of_an_expression(pattern: str, anchored: bool, text: str, rest: str) -> None:
    found = beginning(pattern)
    assert (found.anchored, found.text, found.rest) == (anchored, text, rest)


def test_only_ascii_has_classes_as_in_pcre() -> None:
    assert re.fullmatch(translate(r"\d"), "\u0663", re.ASCII) is None
    assert compile_pattern(r"^\w$").search("\u00e9") is None
