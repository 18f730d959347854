"""What Trac works out again for each request although it cannot have changed: remembered for the process.

Only functions of their arguments are remembered, never what depends on the visitor, the database or a file
that somebody may edit; so every page stays octet for octet what Trac makes of it. Each memory has a bound.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, Callable

_LANGUAGES = 8  # catalogues of messages in memory; one has up to 2 MB
_PATTERNS = 64  # expressions: each environment has one, and another when its plugins have changed
_LINES = 1024  # of wiki text
_LONGEST_LINE = 1024  # characters of one
_MATCHES = 4096  # in all remembered lines; one takes about 1.5 kB


def remember() -> None:
    """Take the places in Trac. To be called once in a process, after Trac was imported."""
    _locales()
    _translations()
    _wiki_matches()


def _locales() -> None:
    """Trac looks at 39 files for each request to find its own translations."""
    from trac.util import translation

    available = tuple(translation.get_available_locales())
    # Its caller adds to the list.
    translation.get_available_locales = lambda: list(available)


def _translations() -> None:
    """Trac reads two catalogues of messages for each request, and one more for each plugin that has one."""
    from trac.util import translation

    proxy = translation.translations
    if not isinstance(getattr(proxy, "_plugin_domains", None), dict):
        return  # without Babel there is one language, and nothing to read
    activate: Callable[..., None] = proxy.activate
    known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def remembering(locale: Any, env_path: str | None = None) -> None:
        key = (str(locale), env_path, *proxy._plugin_domains.get(env_path, {}).items())
        if key in known:
            proxy._current.translations = known[key]
            proxy._activate_failed = False
            known.move_to_end(key)
            return
        activate(locale, env_path)
        known[key] = proxy._current.translations
        if len(known) > _LANGUAGES:
            known.popitem(last=False)

    proxy.activate = remembering


def _wiki_matches() -> None:
    """Wiki syntax is one expression of some forty alternatives; looking for them takes a third of a page."""
    from trac.wiki import formatter

    formatter.re = Matches()


class Matches:
    """Stands in for the module `re` in trac.wiki.formatter: `sub` remembers where a line was matched.

    What the matches are replaced by is worked out each time, for it depends on the reader and on which pages
    exist.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[int, str], tuple[re.Match[str], ...]] = OrderedDict()
        self._patterns: dict[int, re.Pattern[str]] = {}  # they live as long as their numbers are used
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(re, name)

    def sub(self, pattern: Any, replacement: Any, text: str) -> str:
        """As re.sub without its optional arguments."""
        if not callable(replacement) or not isinstance(pattern, re.Pattern) or len(text) > _LONGEST_LINE:
            return re.sub(pattern, replacement, text)
        pieces = []
        end = 0
        for match in self._find(pattern, text):
            pieces.append(text[end : match.start()])
            pieces.append(replacement(match) or "")
            end = match.end()
        pieces.append(text[end:])
        return "".join(pieces)

    def _find(self, pattern: re.Pattern[str], text: str) -> tuple[re.Match[str], ...]:
        key = (id(pattern), text)
        found = self._lines.get(key)
        if found is not None:
            self._lines.move_to_end(key)
        else:
            if id(pattern) not in self._patterns and len(self._patterns) >= _PATTERNS:
                self._lines.clear()
                self._patterns.clear()
                self._count = 0
            self._patterns[id(pattern)] = pattern
            found = self._lines[key] = tuple(pattern.finditer(text))
            self._count += len(found)
            while self._count > _MATCHES or len(self._lines) > _LINES:
                _, dropped = self._lines.popitem(last=False)
                self._count -= len(dropped)
        return found
