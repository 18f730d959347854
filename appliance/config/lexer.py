"""Text to tokens, as lighttpd reads its configuration (configfile.c of 1.4.69 was the oracle).

In a string only `\\"` is an escape; every other backslash stands for itself, so that regular expressions
need no doubling. Ends of lines are tokens, since a line can end a statement; whether one does is the
grammar's business.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from appliance.config.diagnostic import Position, Report

LARGEST_INTEGER = 2**31 - 1  # a larger one wraps around in lighttpd


class Kind(enum.Enum):
    """What a token is; the value is how it is called in a message."""

    NAME = "a name"
    STRING = "a string"
    INTEGER = "a number"
    OPERATOR = "an operator"
    LINE_END = "the end of the line"
    END = "the end of the text"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `text` is the value of a string, the digits of a number, the operator or name itself."""

    kind: Kind
    text: str
    position: Position

    def __str__(self) -> str:
        """The token as a message names it."""
        if self.kind in (Kind.LINE_END, Kind.END):
            return str(self.kind.value)
        return f'"{self.text}"' if self.kind is not Kind.STRING else "a string"


_BLANK = re.compile(r"[ \t\r]+|#[^\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NUMBER = re.compile(r"[0-9]+")
_STRING = re.compile(r'"((?:[^"\\]|\\(?!")|\\")*)"')
# The longest first: "=>" must not be read as "=" and ">".
_OPERATOR = re.compile(r"\+=|:=|=>|==|=~|=\^|=\$|!=|!~|[=+,(){}$\[\]]")

_UNREADABLE = re.compile(r"'[^'\n]*'|;+|[^\s\"(){},=+\[\]$#;]+")
_HINTS = {
    "'": 'strings stand between double quotes: "…"',
    ";": "a statement ends with its line, without a semicolon",
    "-": "numbers have no sign",
    "/": 'paths stand between quotes: "/…"',
    "<": "conditions compare with == != =~ !~ =^ =$",
    ">": "conditions compare with == != =~ !~ =^ =$",
}


def tokenize(text: str, origin: str, report: Report) -> list[Token]:
    """All tokens of a text, the last one of kind END; what cannot be read is reported and left out."""
    return _Lexer(text.removeprefix("\ufeff"), origin, report).tokens()


class _Lexer:
    def __init__(self, text: str, origin: str, report: Report) -> None:
        self._text = text
        self._lines = [line.removesuffix("\r") for line in text.split("\n")]
        self._origin = origin
        self._report = report
        self._line = 1
        self._line_start = 0
        self._found: list[Token] = []

    def tokens(self) -> list[Token]:
        offset = 0
        while offset < len(self._text):
            offset = self._token(offset)
        self._add(Kind.END, "", offset, 1)
        return self._found

    def _token(self, offset: int) -> int:
        text = self._text
        character = text[offset]
        if character == "\n":
            self._add(Kind.LINE_END, "", offset, 1)
            self._line += 1
            self._line_start = offset + 1
            return offset + 1
        if blank := _BLANK.match(text, offset):
            return blank.end()
        if character == '"':
            return self._string(offset)
        if name := _NAME.match(text, offset):
            return self._add(Kind.NAME, name.group(), offset, len(name.group()))
        if number := _NUMBER.match(text, offset):
            return self._number(number.group(), offset)
        if operator := _OPERATOR.match(text, offset):
            return self._add(Kind.OPERATOR, operator.group(), offset, len(operator.group()))
        return self._unreadable(offset)

    def _string(self, offset: int) -> int:
        found = _STRING.match(self._text, offset)
        if found is None:
            line = self._text[offset : _line_end(self._text, offset)]
            hint = (
                'in a string \\" is a quote: a backslash cannot be the last character'
                if '\\"' in line
                else ""
            )
            self._report.error(self._position(offset, 1), "this string has no closing quote", hint)
            # Taken as closed by its line, so that what follows is still read.
            return self._add(Kind.STRING, line[1:], offset, len(line))
        body = found.group(1)
        if "\0" in body:
            self._report.error(self._position(offset, 1), "this string holds a NUL character")
        end = min(found.end(), _line_end(self._text, offset))
        self._add(Kind.STRING, body.replace('\\"', '"'), offset, end - offset)
        for line_end in re.finditer("\n", body):
            self._line += 1
            self._line_start = found.start(1) + line_end.end()
        return found.end()

    def _number(self, digits: str, offset: int) -> int:
        # Twelve digits are beyond the limit for sure; int() of an endless run of them would take its time.
        significant = digits.lstrip("0") or "0"
        if len(significant) > 12 or int(significant) > LARGEST_INTEGER:
            reason = f"this number is beyond the largest possible one, {LARGEST_INTEGER}"
            self._report.error(self._position(offset, len(digits)), reason)
            significant = "0"
        self._add(Kind.INTEGER, significant, offset, len(digits))
        following = _NAME.match(self._text, offset + len(digits))
        if following is None:
            return offset + len(digits)
        word = digits + following.group()
        self._report.error(self._position(offset, len(word)), f'"{word}" is neither a number nor a name')
        return following.end()

    def _unreadable(self, offset: int) -> int:
        """Report a whole word at once; it counts as a value, so that the grammar does not miss one."""
        found = _UNREADABLE.match(self._text, offset)
        word = found.group() if found is not None else self._text[offset]
        first = word[0]
        shown = word if word.isprintable() else f"U+{ord(first):04X}"
        self._report.error(
            self._position(offset, len(word)),
            f"{shown} has no meaning outside a string",
            _HINTS.get(first, ""),
        )
        if first == ";" or not first.isprintable():
            return offset + len(word)
        return self._add(Kind.STRING, word, offset, len(word))

    def _add(self, kind: Kind, text: str, offset: int, width: int) -> int:
        self._found.append(Token(kind, text, self._position(offset, width)))
        return offset + width

    def _position(self, offset: int, width: int) -> Position:
        line = self._lines[self._line - 1]
        return Position(self._origin, self._line, offset - self._line_start + 1, line, width)


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end
