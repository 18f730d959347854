"""Media types by file name, as `mimetype.assign` says it.

lighttpd searches a short table in its own order and a long one by the longest suffix; tables that mean the
same to it must mean the same to us, so both searches are here. Comparison ignores ASCII case.
"""

from __future__ import annotations

from collections.abc import Sequence

FALLBACK = b"application/octet-stream"

_SHORT = 16  # entries from which on lighttpd searches by the longest suffix
_REMEMBERED = 4096


class MediaTypes:
    """One table of `mimetype.assign`; the same paths come again and again, so the answers are remembered."""

    def __init__(self, table: Sequence[tuple[str, str]]) -> None:
        self._ordered = [(suffix.lower(), value.encode("latin-1", "replace")) for suffix, value in table]
        self._exact: dict[str, bytes] = {}
        for suffix, value in self._ordered:
            self._exact.setdefault(suffix, value)
        self._remembered: dict[str, bytes] = {}

    def lookup(self, path: str) -> bytes:
        """The Content-Type of a file: its table entry, or `application/octet-stream`."""
        found = self._remembered.get(path)
        if found is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            name = path.lower()
            found = self._first(name) if len(self._ordered) < _SHORT else self._longest(name)
            self._remembered[path] = found
        return found

    def _first(self, path: str) -> bytes:
        for suffix, value in self._ordered:
            if path.endswith(suffix):
                return value
        return FALLBACK

    def _longest(self, path: str) -> bytes:
        """The whole name, every `.suffix`, longest first, each also without its dot, then the entry ""."""
        name = path.rpartition("/")[2]
        if name in self._exact:
            return self._exact[name]
        dot = name.find(".", 1)
        while dot >= 0:
            for suffix in (name[dot:], name[dot + 1 :]):
                if suffix and suffix in self._exact:
                    return self._exact[suffix]
            dot = name.find(".", dot + 1)
        return self._exact.get("", FALLBACK)
