"""url.redirect: the first pattern that matches path and query sends the client elsewhere.

The target's language is lighttpd's (mod_redirect): `$1` or `${1}` for a group of the pattern, `$0` for all it
matched, `$$` and `%%` for the signs themselves, `${url.scheme}`, `${url.authority}`, `${url.port}`,
`${url.path}`, `${url.query}`, `${qsa}` (the query behind "?", or "&" if there is a "?"), each also with an
encoding in front (`${esc:1}`). An empty target means: no redirect here, and no later pattern either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from appliance.config import Settings
from appliance.config.regex import compile_pattern, search
from appliance.handlers.exchange import Exchange, Handler, Outcome
from appliance.http.request import Request
from appliance.http.response import Response
from appliance.http.target import encode_path, encode_query, normalized

_TOKEN = re.compile(r"\$(?P<digit>[0-9])|\$\{(?P<inner>[^}]*)\}|(?P<sign>\$\$|%%)")

# What may stand in a Location field as it is; anything else that a capture could bring along is encoded.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")

Match = re.Match[str]
Part = Callable[[Match, Request, str], str]  # (match, request, text before this part) -> text


class Template:
    """A target, taken apart once. As in lighttpd an unknown `${…}` is empty, an unknown encoding is none."""

    def __init__(self, text: str) -> None:
        self._parts: list[str | Part] = []
        end = 0
        for token in _TOKEN.finditer(text):
            self._parts.append(text[end : token.start()])
            self._parts.append(_part(token))
            end = token.end()
        self._parts.append(text[end:])

    def expand(self, match: Match, request: Request) -> str:
        """The Location for a request."""
        made = ""
        for part in self._parts:
            made += part if isinstance(part, str) else part(match, request, made)
        return quote(made, safe=_SAFE, encoding="utf-8", errors="surrogateescape")


def _part(token: Match) -> str | Part:
    if token["sign"]:
        return token["sign"][0]
    if token["digit"]:
        return _group(int(token["digit"]))
    *encodings, name = token["inner"].split(":")
    part = _group(int(name)) if name.isdecimal() else _VARIABLES.get(name, _nothing)
    for encoding in encodings:
        if encoding in _ENCODINGS:
            part = _encoded(part, _ENCODINGS[encoding])
    return part


def _group(number: int) -> Part:
    return lambda match, request, before: (match[number] or "") if number <= match.re.groups else ""


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


def build(settings: Settings, services: object) -> Handler | None:
    """The handler of one scope; None if nothing is redirected there."""
    rules = tuple(
        (compile_pattern(_encoded_pattern(pattern)), Template(target) if target else None)
        for pattern, target in settings.pairs("url.redirect")
    )
    if not rules:
        return None
    code = settings.integer("url.redirect-code")

    def redirect(exchange: Exchange) -> Outcome:
        request = exchange.request
        subject = normalized(request.path, request.query)
        for pattern, template in rules:
            match = search(pattern, subject)
            if match is not None:
                if template is None:
                    return None
                return Response(code, [(b"Location", template.expand(match, request).encode("ascii"))])
        return None

    return redirect
