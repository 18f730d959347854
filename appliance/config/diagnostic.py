"""Where something stands in a configuration, and what is to be said about it.

The rule: nothing is ignored silently. Whatever is wrong becomes a diagnostic with file, line, column, the
line itself and a caret; all of them are collected and reported at once, so that a file is mended in one
round.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "notice"]

# A longer line is shown around the caret only: the report is for a terminal.
_SHOWN_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text: line and column count from 1, `width` is the number of characters to underline."""

    origin: str
    line: int
    column: int
    text: str = field(default="", repr=False)  # the whole line, without its end
    width: int = 1

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}"


BUILT_IN = Position("(built in)", 0, 0)
"""Where a value stands that no configuration sets: a default."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One remark about a configuration, with the place it is about and what to do."""

    position: Position
    reason: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        """The remark as it is printed: place and reason, the line with a caret, the hint."""
        parts = [f"{self.position}: {self.severity}: {self.reason}"]
        if self.position.text.strip():
            parts += _excerpt(self.position)
        if self.hint:
            parts.append(f"    {self.hint}")
        return "\n".join(parts)

    @property
    def sentence(self) -> str:
        """The remark on one line, for a log."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.position}: {self.reason}{hint}"


class ConfigurationError(Exception):
    """A configuration that cannot be served; `diagnostics` holds every reason, in the order of the text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class Report:
    """Collects diagnostics while a configuration is read."""

    def __init__(self) -> None:
        self.errors: list[Diagnostic] = []
        self.notices: list[Diagnostic] = []
        self._noticed: set[str] = set()

    def error(self, position: Position, reason: str, hint: str = "") -> None:
        """Note a reason why the configuration cannot be served."""
        diagnostic = Diagnostic(position, reason, hint)
        if diagnostic not in self.errors:
            self.errors.append(diagnostic)

    def notice(self, position: Position, reason: str, hint: str = "", *, once: str = "") -> None:
        """Note something worth knowing; with `once`, only the first remark with that key counts."""
        if once:
            if once in self._noticed:
                return
            self._noticed.add(once)
        self.notices.append(Diagnostic(position, reason, hint, "notice"))

    def raise_errors(self) -> None:
        """End here if anything is wrong; the errors come in the order of the text, file by file."""
        if not self.errors:
            return
        files = list(dict.fromkeys(error.position.origin for error in self.errors))
        self.errors.sort(key=lambda error: (files.index(error.position.origin), _place(error.position)))
        raise ConfigurationError(self.errors)


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "…"?` for a word that is nearly one of the known ones, otherwise nothing."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.7)
    return f'did you mean "{near[0]}"?' if near else ""


def _place(position: Position) -> tuple[int, int]:
    return position.line, position.column


def _excerpt(position: Position) -> list[str]:
    text = "".join(" " if character == "\t" else _printable(character) for character in position.text)
    start = position.column - 1
    left = max(0, start - _SHOWN_WIDTH * 2 // 3) if len(text) > _SHOWN_WIDTH else 0
    shown = text[left : left + _SHOWN_WIDTH]
    width = max(1, min(position.width, len(shown) - (start - left)))
    return [f"    {shown.rstrip()}", f"    {' ' * (start - left)}{'^' * width}"]


def _printable(character: str) -> str:
    """A control character must not reach the reader's terminal."""
    return character if character.isprintable() else "?"
