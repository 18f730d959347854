"""Regular expressions of a configuration: PCRE, as lighttpd has it, put into the words of Python's `re`.

What the two read alike is passed on; what has another spelling is translated; what `re` cannot do is
refused with the reason, never read as something else. A subject is searched however long it is: it comes
from the head of a request, which has its limit, and what protects a path must not end where a path is long.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

_LONGEST_PATTERN = 8192

_ESCAPES = {
    "A": r"\A",
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
    "h": r"[ \t]",
    "H": r"[^ \t]",
    "N": r"[^\n]",
    "R": r"(?:\r\n|[\n\x0b\f\r])",
    "v": r"[\n\x0b\f\r]",
    "V": r"[^\n\x0b\f\r]",
    "e": r"\x1b",
}
_CLASS_ESCAPES = {"h": r" \t", "v": r"\n\x0b\f\r", "e": r"\x1b"}
_META = frozenset("\\^$.|?*+()[{")
_PLAIN_ESCAPED = tuple("./-_~+*?()[]{}|^$")
_SAME = "abBdDfnrsStwW"  # letters that mean the same after a backslash in both languages
_CLASS_SAME = "abdDfnrsStwW"
_POSIX = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t\n\x0b\f\r",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a PCRE expression; raises ValueError with the reason if `re` cannot have the same meaning."""
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"a regular expression has at most {_LONGEST_PATTERN} characters")
    translated = translate(pattern)
    try:
        with warnings.catch_warnings():
            # "Possible nested set" and its like warn of what a later Python may read in another way.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return re.compile(translated, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"this is no regular expression: {error}") from None


@dataclass(frozen=True, slots=True)
class Beginning:
    """How an expression begins: plain text, perhaps after `^`, and what is left of it."""

    anchored: bool
    text: str
    rest: str


def beginning(pattern: str) -> Beginning:
    """The plain text that an expression begins with: what matches contains it, or begins with it."""
    anchored = pattern.startswith("^")
    offset = 1 if anchored else 0
    if _alternatives(pattern):
        return Beginning(anchored, "", pattern[offset:])
    found: list[str] = []
    while offset < len(pattern):
        character, width = pattern[offset], 1
        if character == "\\" and pattern[offset + 1 : offset + 2] in _PLAIN_ESCAPED:
            character, width = pattern[offset + 1], 2
        elif character in _META:
            break
        repeat = pattern[offset + width : offset + width + 1]
        if repeat and repeat in "?*{":
            break  # the character may be missing
        found.append(character)
        offset += width
    return Beginning(anchored, "".join(found), pattern[offset:])


def _alternatives(pattern: str) -> bool:
    """Whether a bar stands outside of all groups; rather once too often than not."""
    depth, offset = 0, 0
    while offset < len(pattern):
        character = pattern[offset]
        if character == "\\":
            offset += 1
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth <= 0:
            return True
        elif character == "[":
            # Parentheses in a class would spoil the count.
            return "|" in pattern
        offset += 1
    return False


def translate(pattern: str) -> str:
    """The same expression in the syntax of `re`; raises ValueError with the reason if there is none."""
    return _Translation(pattern).whole()


class _Translation:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._offset = 0
        self._out: list[str] = []
        # What options such as (?i) in the middle of a group opened, for each group that is open now.
        self._opened: list[list[str]] = [[]]

    def whole(self) -> str:
        while self._offset < len(self._pattern):
            self._element()
        self._out.append(")" * len(self._opened[0]))
        return "".join(self._out)

    def _element(self) -> None:
        character = self._pattern[self._offset]
        if character == "\\":
            self._escape()
        elif character == "[":
            self._class()
        elif character == "(":
            self._group()
        elif character == ")":
            # One that closes nothing is left for `re` to complain about.
            self._take(")" * (len(self._opened.pop()) + 1 if len(self._opened) > 1 else 1), 1)
        elif character == "|":
            # An option counts in the branches after it too, but a group of `re` ends with its branch.
            self._take(")" * len(self._opened[-1]) + "|" + "".join(self._opened[-1]), 1)
        elif character == "{":
            self._brace()
        else:
            self._take(character, 1)

    def _take(self, translated: str, width: int) -> None:
        self._out.append(translated)
        self._offset += width

    def _escape(self) -> None:
        letter = self._pattern[self._offset + 1 : self._offset + 2]
        if letter == "Q":
            end = self._pattern.find("\\E", self._offset)
            end = len(self._pattern) if end < 0 else end
            literal = self._pattern[self._offset + 2 : end]
            self._take(re.escape(literal), end + 2 - self._offset)
        elif letter == "E":
            self._offset += 2
        elif letter in ("g", "k"):
            self._reference()
        elif letter in _ESCAPES:
            self._take(_ESCAPES[letter], 2)
        elif letter and letter in _SAME:
            self._take(f"\\{letter}", 2)
        else:
            self._common_escape(letter)

    def _common_escape(self, letter: str) -> None:
        """Escapes that mean the same inside and outside of a class."""
        if letter == "x":
            self._hexadecimal()
        elif letter.isdigit() and letter.isascii():
            self._digits()
        elif letter.isalpha() and letter.isascii():
            raise ValueError(f"\\{letter} has no counterpart here")
        elif not letter:
            raise ValueError("a backslash ends the expression")
        else:
            self._take(re.escape(letter), 2)

    def _hexadecimal(self) -> None:
        found = re.compile(r"\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{0,2}))").match(
            self._pattern, self._offset
        )
        if found is None:
            raise ValueError("\\x takes hexadecimal digits")
        code = int(found.group(1) or found.group(2) or "0", 16)
        if code > 0x10FFFF:
            raise ValueError(f"{found.group()} is no character")
        self._take(re.escape(chr(code)), len(found.group()))

    def _digits(self) -> None:
        found = re.compile(r"\\(\d+)").match(self._pattern, self._offset)
        digits = found.group(1) if found is not None else ""
        if digits.startswith("0") or (len(digits) == 3 and set(digits) <= set("01234567")):
            octal = re.compile(r"\\([0-7]{1,3})").match(self._pattern, self._offset)
            if octal is None or int(octal.group(1), 8) > 0o377:
                raise ValueError(f"\\{digits} is no character")
            self._take(f"\\x{int(octal.group(1), 8):02x}", len(octal.group()))
        else:
            # A group, so that a digit that follows does not become part of the number.
            self._take(f"(?:\\{digits})", len(digits) + 1)

    def _reference(self) -> None:
        found = re.compile(
            r"\\g(\d+)|\\g\{(\d+)\}|\\[gk](?:\{([A-Za-z_]\w*)\}|<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')"
        ).match(self._pattern, self._offset)
        if found is None or self._pattern.startswith(("\\g<", "\\g'"), self._offset):
            raise ValueError("calling a group as a subroutine has no counterpart here")
        number = found.group(1) or found.group(2)
        name = found.group(3) or found.group(4) or found.group(5)
        self._take(f"(?:\\{number})" if number else f"(?P={name})", len(found.group()))

    def _class(self) -> None:
        """A character class; a `]` that comes first is one of its characters."""
        start = self._offset
        self._take("[", 1)
        if self._pattern.startswith("^", self._offset):
            self._take("^", 1)
        if self._pattern.startswith("]", self._offset):
            self._take(r"\]", 1)
        while self._offset < len(self._pattern):
            character = self._pattern[self._offset]
            if character == "]":
                self._take("]", 1)
                return
            if character == "\\":
                self._class_escape()
            elif character == "[":
                self._posix()
            elif character in "&|~" and self._pattern.startswith(character * 2, self._offset):
                self._take(f"\\{character}", 1)  # reserved for set operations
            else:
                self._take(character, 1)
        raise ValueError(f"the [ at character {start + 1} is not closed")

    def _class_escape(self) -> None:
        letter = self._pattern[self._offset + 1 : self._offset + 2]
        if letter in _CLASS_ESCAPES:
            self._take(_CLASS_ESCAPES[letter], 2)
        elif letter and letter in _CLASS_SAME:
            self._take(f"\\{letter}", 2)
        elif letter.isdigit() and letter.isascii():
            octal = re.compile(r"\\([0-7]{1,3})").match(self._pattern, self._offset)
            if octal is None or int(octal.group(1), 8) > 0o377:
                raise ValueError(f"\\{letter} in a class is no character")
            self._take(f"\\x{int(octal.group(1), 8):02x}", len(octal.group()))
        else:
            self._common_escape(letter)

    def _posix(self) -> None:
        found = re.compile(r"\[:(\^?)([a-z]+):\]").match(self._pattern, self._offset)
        if found is None:
            if re.compile(r"\[[.=]").match(self._pattern, self._offset):
                raise ValueError("collating elements such as [.a.] have no counterpart here")
            self._take(r"\[", 1)
            return
        if found.group(1) or found.group(2) not in _POSIX:
            raise ValueError(f"{found.group()} has no counterpart here")
        self._take(_POSIX[found.group(2)], len(found.group()))

    def _group(self) -> None:
        rest = self._pattern[self._offset :]
        if rest.startswith("(*"):
            raise ValueError("verbs such as (*SKIP) have no counterpart here")
        if not rest.startswith("(?"):
            self._open("(", 1)
            return
        if rest.startswith("(?#"):
            end = rest.find(")")
            if end < 0:
                raise ValueError("a comment (?# is not closed")
            self._offset += end + 1
            return
        named = re.match(r"\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')", rest)
        if named is not None:
            self._open(f"(?P<{named.group(1) or named.group(2)}>", len(named.group()))
            return
        plain = re.match(r"\(\?(?:[:=!>]|<[=!]|\((?:\d+|(?!R|DEFINE)[A-Za-z_]\w*)\))", rest)
        if plain is not None:
            self._open(plain.group(), len(plain.group()))
            return
        again = re.match(r"\(\?P=([A-Za-z_]\w*)\)", rest)
        if again is not None:
            self._take(again.group(), len(again.group()))
            return
        self._flags(rest)

    def _flags(self, rest: str) -> None:
        """`(?i)` counts to the end of its group in PCRE; `re` wants it as a group of its own."""
        found = re.match(r"\(\?([imsx]*)(?:-([imsx]+))?([:)])", rest)
        if found is None:
            shown = re.match(r"\(\?.{0,3}", rest, re.DOTALL)
            raise ValueError(f"{shown.group() if shown else '(?'} has no counterpart here")
        on, off, end = found.group(1), found.group(2) or "", found.group(3)
        if "x" in on:
            raise ValueError("free-spacing expressions (?x) are not supported")
        off = off.replace("x", "")
        opening = f"(?{on}{f'-{off}' if off else ''}:" if on or off else "(?:"
        if end == ":":
            self._open(opening, len(found.group()))
        else:
            self._opened[-1].append(opening)
            self._take(opening, len(found.group()))

    def _open(self, translated: str, width: int) -> None:
        self._opened.append([])
        self._take(translated, width)

    def _brace(self) -> None:
        found = re.compile(r"\{(?:\d+(?:,\d*)?)\}").match(self._pattern, self._offset)
        if found is None:
            self._take(r"\{", 1)  # also {,3}, which only `re` reads as a repeat
        else:
            self._take(found.group(), len(found.group()))
