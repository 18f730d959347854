"""What a target of url.redirect and url.rewrite-… becomes for one request.

The language is lighttpd's: `$1` or `${1}` for a group of the expression, `$0` for all it matched; `%1` or
`%{1}` for a group of the condition of the block around; `$$` and `%%` for the signs themselves;
`${url.scheme}`, `${url.authority}`, `${url.port}`, `${url.path}`, `${url.query}`, `${qsa}` (the query behind
"?", or "&" if there is a "?"), each also with an encoding in front (`${esc:1}`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from appliance.config.condition import Network, Test, reader
from appliance.config.regex import compile_pattern
from appliance.config.url_rules import UrlRule
from appliance.http.request import Request
from appliance.http.target import encode_path, encode_query

_TOKEN = re.compile(r"(?P<kind>[$%])(?:(?P<digit>[0-9])|\{(?P<inner>[^}]*)\})|(?P<sign>\$\$|%%)")

# What may stand in a URL as it is; anything else that a capture could bring along is encoded.
_SAFE = "!#$%&'()*+,/:;=?@[]~"

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")

Match = re.Match[str]
Part = Callable[[Match, Request, str], str]  # (match, request, text before this part) -> text


class Template:
    """A target, taken apart once. As in lighttpd an unknown `${…}` is empty, an unknown encoding is none."""

    __slots__ = ("_parts",)

    def __init__(self, text: str, condition: Test | None = None) -> None:
        """`condition` is the test that `%0`, `%1` … are groups of; without it they are empty."""
        self._parts: list[str | Part] = []
        end = 0
        for token in _TOKEN.finditer(text):
            self._parts.append(text[end : token.start()])
            self._parts.append(_part(token, condition))
            end = token.end()
        self._parts.append(text[end:])

    def expand(self, match: Match, request: Request) -> str:
        """The target for a request, in ASCII; the same URL however it is read again."""
        made = ""
        for part in self._parts:
            made += part if isinstance(part, str) else part(match, request, made)
        return quote(made, safe=_SAFE, encoding="utf-8", errors="surrogateescape")


def _part(token: Match, condition: Test | None) -> str | Part:
    if token["sign"]:
        return token["sign"][0]
    *encodings, name = [token["digit"]] if token["digit"] else token["inner"].split(":")
    if not name.isdecimal():
        part = _VARIABLES.get(name, _nothing)
    elif token["kind"] == "$":
        part = _group(int(name))
    else:
        part = _condition_group(int(name), condition)
    for encoding in encodings:
        if encoding in _ENCODINGS:
            part = _encoded(part, _ENCODINGS[encoding])
    return part


def _group(number: int) -> Part:
    return lambda match, request, before: (match[number] or "") if number <= match.re.groups else ""


def _condition_group(number: int, condition: Test | None) -> Part:
    """Of a comparison the whole is what was compared with; of an address, the client's."""
    if condition is None:
        return _nothing
    read, value = reader(condition.field), condition.value
    if isinstance(value, re.Pattern):
        group = _group(number)

        def part(match: Match, request: Request, before: str) -> str:
            found = value.search(read(request))
            return group(found, request, before) if found is not None else ""

        return part
    if number:
        return _nothing
    if isinstance(value, Network):
        return lambda match, request, before: read(request)
    return lambda match, request, before: value


def _nothing(match: Match, request: Request, before: str) -> str:
    return ""


def _encoded(part: Part, encode: Callable[[str], str]) -> Part:
    return lambda match, request, before: encode(part(match, request, before))


def _qsa(match: Match, request: Request, before: str) -> str:
    if not request.query:
        return ""
    return ("&" if "?" in before else "?") + encode_query(request.query)


_VARIABLES: dict[str, Part] = {
    "url.scheme": lambda match, request, before: request.scheme,
    "url.authority": lambda match, request, before: request.authority,
    "url.port": lambda match, request, before: str(request.local_port),
    "url.path": lambda match, request, before: encode_path(request.path),
    "url.query": lambda match, request, before: encode_query(request.query),
    "qsa": _qsa,
}

_ENCODINGS: dict[str, Callable[[str], str]] = {
    "esc": lambda text: quote(text, safe=""),
    "escnde": lambda text: quote(unquote(text), safe=""),  # nothing is encoded twice
    "escpsnde": lambda text: quote(unquote(text), safe="/"),  # the same, slashes stay
}


def _encoded_pattern(pattern: str) -> str:
    """What is matched is encoded, so "ü" in a pattern means "%C3%BC", as in lighttpd."""
    return _BEYOND_ASCII.sub(lambda letters: quote(letters[0]), pattern)


def compiled(rules: tuple[UrlRule, ...]) -> tuple[tuple[re.Pattern[str], Template | None], ...]:
    """Patterns with their templates; None where the target is empty."""
    return tuple(
        (
            compile_pattern(_encoded_pattern(rule.pattern)),
            Template(rule.target, rule.condition) if rule.target else None,
        )
        for rule in rules
    )
