"""Conditions: which blocks apply to which request."""

from __future__ import annotations

import timeit

import pytest

from appliance.config import ConfigurationError, Matcher, load
from tests.config.subjects import Request

BROWSER = {
    "referer": "http://a.example/",
    "user-agent": "Mozilla/5.0",
    "accept-language": "de,en",
    "x-y": "z",
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('$HTTP["host"] == "www.example.org"', True),
        ('$HTTP["host"] == "WWW.Example.ORG"', True),
        ('$HTTP["host"] == "www.example.org:8080"', True),
        ('$HTTP["host"] == "example.org"', False),
        ('$HTTP["host"] != "example.org"', True),
        ('$HTTP["host"] =~ "(^|\\.)example\\.org$"', True),
        ('$HTTP["host"] !~ "(^|\\.)example\\.org$"', False),
        ('$HTTP["host"] =$ ".example.org"', True),
        ('$HTTP["host"] =~ "\\.example\\.org$"', True),
        ('$HTTP["host"] =^ "www."', True),
        ('$HTTP["url"] == "/trac/wiki"', True),
        ('$HTTP["url"] =~ "^/trac/wiki$"', True),
        ('$HTTP["url"] =~ "^/trac/wik$"', False),
        ('$HTTP["url"] =~ "^/trac(/|$)"', True),
        ('$HTTP["url"] =~ "^/tra(/|$)"', False),
        ('$HTTP["url"] =~ "^/tracs?/"', True),
        ('$HTTP["url"] =~ "^/xyz*/|^/trac/"', True),
        ('$HTTP["url"] =~ "^/trac(?!/chrome/common)"', True),
        ('$HTTP["url"] =~ "(?i)WIKI"', True),
        ('$HTTP["url"] =~ ""', True),
        ('$HTTP["url"] =^ "/trac"', True),
        ('$HTTP["url"] =^ "/trac/wiki/more"', False),
        ('$HTTP["url"] =$ "wiki"', True),
        ('$HTTP["url"] =$ "/more/of/trac/wiki"', False),
        ('$HTTP["querystring"] == "a=b"', True),
        ('$HTTP["query-string"] =~ "a="', True),
        ('$HTTP["scheme"] == "http"', True),
        ('$HTTP["request-method"] == "GET"', True),
        ('$HTTP["request-method"] =~ "^(GET|HEAD)$"', True),
        ('$HTTP["remoteip"] == "192.0.2.7"', True),
        ('$HTTP["remoteip"] == "192.0.2.0/24"', True),
        ('$HTTP["remote-ip"] == "192.0.3.0/24"', False),
        ('$HTTP["remote-ip"] != "192.0.3.0/24"', True),
        ('$HTTP["remote-ip"] == "2001:db8::/32"', False),
        ('$HTTP["remoteip"] =~ "^192\\."', True),
        ('$HTTP["referer"] =^ "http://a.example/"', True),
        ('$HTTP["user-agent"] =~ "Mozilla"', True),
        ('$HTTP["useragent"] =~ "curl"', False),
        ('$HTTP["language"] =~ "de"', True),
        ('$HTTP["cookie"] == ""', True),
        ('$HTTP["cookie"] !~ "."', True),
        ('$REQUEST_HEADER["X-Y"] == "z"', True),
        ('$REQUEST_HEADER["Host"] == "www.example.org"', True),
        ('$SERVER["socket"] == "0.0.0.0:80"', True),
        ('$SERVER["socket"] == ":80"', True),
        ('$SERVER["socket"] != ":80"', False),
        ('$SERVER["socket"] =~ ":80$"', True),
        ('$ HTTP [ "ho" + "st" ] == "www." + "example.org"', True),
    ],
)
def test_a_condition_holds_or_not(condition: str, holds: bool) -> None:
    matcher = load(f'server.tag = "no"\n{condition} {{ server.tag = "yes" }}', "t").matcher()
    request = Request("/trac/wiki", query="a=b", remote_address="192.0.2.7", headers=BROWSER)
    assert matcher.settings_for(request).string("server.tag") == ("yes" if holds else "no")


def test_addresses_may_be_ipv6_or_absent() -> None:
    text = 'server.tag = "no"\n$HTTP["remoteip"] == "%s" { server.tag = "yes" }'

    def holds(network: str, address: str) -> bool:
        request = Request(remote_address=address)
        return load(text % network, "t").matcher().settings_for(request).string("server.tag") == "yes"

    assert holds("2001:db8::/32", "2001:db8::7")
    assert holds("[2001:db8::]/32", "2001:db8::7")
    assert holds("::1", "::1")
    assert holds("192.0.2.0/24", "::ffff:192.0.2.7")
    assert not holds("0.0.0.0/0", "2001:db8::7")
    assert not holds("0.0.0.0/0", "")


CHAIN = """
    server.tag = "none"
    $HTTP["host"] == "a" {
        server.tag = "a"
        $HTTP["url"] =^ "/x" { server.tag = "a x" }
        else $HTTP["url"] =~ "^/[yz]" { server.tag = "a yz" }
        else { server.tag = "a rest" }
    }
    else if $HTTP["host"] =~ "^b" { server.tag = "b" }
    %s $HTTP["url"] =^ "/x" { server.tag = "x" }
    # a comment between the branches

    else { server.tag = "rest" }
"""


@pytest.mark.parametrize("word", ["else", "else if", "elsif", "elseif", "elif"])
def test_the_first_branch_that_holds_is_taken(word: str) -> None:
    matcher = load(CHAIN % word, "t").matcher()

    def tag(host: str, path: str) -> str:
        return matcher.settings_for(Request(path, host)).string("server.tag")

    assert tag("a", "/x") == "a x"
    assert tag("a", "/z") == "a yz"
    assert tag("a", "/") == "a rest"
    assert tag("bb", "/x") == "b"
    assert tag("c", "/x") == "x"
    assert tag("c", "/") == "rest"


def test_later_blocks_win_wherever_the_outermost_scope_stands() -> None:
    text = """
        $HTTP["url"] =^ "/a" { server.tag = "first" server.name = "first" }
        $HTTP["url"] =^ "/a/b" { server.tag = "second" }
        server.tag = "outermost"
    """
    settings = load(text, "t").matcher().settings_for
    assert settings(Request("/a/b")).string("server.tag") == "second"
    assert settings(Request("/a/b")).string("server.name") == "first"
    assert settings(Request("/a")).string("server.tag") == "first"
    assert settings(Request("/")).string("server.tag") == "outermost"


def test_equal_results_are_the_same_object() -> None:
    matcher = load(CHAIN % "else" + '$HTTP["host"] == "empty" { }', "t").matcher()
    first = matcher.settings_for(Request("/x/1", "a"))
    assert matcher.settings_for(Request("/x/2", "a")) is first
    assert matcher.settings_for(Request("/", "c")) is matcher.settings_for(Request("/", "empty"))
    plain = load("", "t")
    assert plain.matcher().settings_for(Request()) is plain.settings


def test_a_long_subject_is_matched_like_a_short_one() -> None:
    text = 'server.tag = "no"\n$HTTP["url"] =~ "(a+)+$" { server.tag = "yes" }'
    matcher = load(text, "t").matcher()
    assert matcher.settings_for(Request("/" + "a" * 4000)).string("server.tag") == "yes"
    assert matcher.settings_for(Request("/" + "a" * 60_000)).string("server.tag") == "yes"


def seconds(matcher: Matcher, request: Request) -> float:
    """The time of one look-up, the best of several runs."""
    return min(timeit.repeat(lambda: matcher.settings_for(request), number=2000, repeat=5)) / 2000


def test_many_conditions_cost_hardly_more_than_few() -> None:
    def site(number: int) -> Matcher:
        blocks = (
            f'$HTTP["url"] =~ "^/p{n:04}/login(/|$)" {{ server.tag = "{n}" }}\n'
            f'$HTTP["host"] == "h{n}" {{ server.name = "{n}" }}\n'
            for n in range(number)
        )
        return load("".join(blocks), "t").matcher()

    request = Request("/p0007/login")
    many = site(500)
    assert many.settings_for(request).string("server.tag") == "7"
    assert seconds(many, request) < 5 * seconds(site(10), request) + 20e-6
    assert seconds(load("", "t").matcher(), request) < 2e-6


def test_the_kept_results_are_bounded() -> None:
    text = "".join(f'$HTTP["querystring"] =~ "k{n}k" {{ server.tag = "{n}" }}\n' for n in range(13))
    matcher = load(text, "t").matcher()
    for number in range(1 << 13):
        query = "".join(f"k{bit}k" for bit in range(13) if number >> bit & 1)
        expected = str(number.bit_length() - 1) if number else None
        settings = matcher.settings_for(Request(query=query))
        if expected is not None:
            assert settings.string("server.tag") == expected
    assert len(matcher._merged) <= 4096


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ('$HTTP["hots"] == "x"', 'did you mean "host"?'),
        ('$HTTP["x-forwarded-for"] == "x"', '$REQUEST_HEADER["x-forwarded-for"]'),
        ('$HTPP["host"] == "x"', "did you mean $HTTP?"),
        ('$SERVER["port"] == "x"', '$SERVER knows "socket", not "port"'),
        ('$REQUEST_HEADER["a b"] == "x"', '"a b" is no name of a header'),
        ('$HTTP["host"] == 5', "a number where a condition needs a string"),
        ('$HTTP["remoteip"] == "192.0.2.0/33"', "neither an IP address nor a network"),
        ('$HTTP["remoteip"] =^ "192.0"', "compared with a network by == or !="),
        ('$HTTP["url"] =~ "("', "this is no regular expression"),
        ('$HTTP["url"] =~ "(?R)"', "no counterpart here"),
    ],
)
def test_a_condition_that_cannot_be_is_refused(condition: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(f'{condition} {{ server.tag = "x" }}', "t")
    assert reason in str(caught.value)
    assert len(caught.value.diagnostics) == 1
