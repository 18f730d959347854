"""Tokens to statements: assignments, includes, condition blocks with their else branches.

As in lighttpd several statements may share a line, a line may end after `=`, `+`, a comma or a
parenthesis, and a trailing comma is fine. What lighttpd accepts by accident (two values without a comma
between them: it drops the second) is an error here. After an error reading goes on at the next statement,
so that all errors come at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from appliance.config.diagnostic import Position, Report
from appliance.config.lexer import Kind, Token

# Deeper ones are no configuration; the limit keeps the recursion below Python's own.
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or a number as written."""

    value: str | int
    position: Position


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of a variable, an option set before, or `env.NAME`."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Item:
    """One element of an array, with its key if it has one."""

    key: Expression | None
    value: Expression


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    """`( … )`"""

    items: tuple[Item, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms joined by `+`."""

    terms: tuple[Expression, ...]
    position: Position


Expression: TypeAlias = Literal | Reference | ArrayLiteral | Sum


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name = value`, `name += value` or `name := value`."""

    name: str
    operator: str
    value: Expression
    position: Position


@dataclass(frozen=True, slots=True)
class Include:
    """`include` of files, or of what a command prints."""

    source: Expression
    shell: bool
    position: Position


@dataclass(frozen=True, slots=True)
class Test:
    """The head of a condition block: `$HTTP["host"] == "…"`."""

    variable: str
    key: Expression
    operator: str
    value: Expression
    position: Position


@dataclass(frozen=True, slots=True)
class Branch:
    """One arm of a conditional; `test` is None for a plain else."""

    test: Test | None
    body: tuple[Statement, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Conditional:
    """A condition block with its else branches, in order."""

    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Global:
    """`global { … }`: statements of the outermost scope, wherever they stand."""

    body: tuple[Statement, ...]


Statement: TypeAlias = Assignment | Include | Conditional | Global

_ASSIGNING = ("=", "+=", ":=")
_COMPARING = ("==", "!=", "=~", "!~", "=^", "=$")
_ELSE_IF = ("elsif", "elseif", "elif")


def parse(tokens: list[Token], report: Report) -> tuple[Statement, ...]:
    """The statements of a whole text; every syntax error is reported."""
    return _Parser(tokens, report).text()


class _SyntaxError(Exception):
    """Ends the statement being read; caught where statements begin."""


class _Parser:
    def __init__(self, tokens: list[Token], report: Report) -> None:
        self._tokens = tokens
        self._report = report
        self._index = 0
        self._depth = 0

    def text(self) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        while True:
            statements += self._statements()
            token = self._next()
            if token.kind is Kind.END:
                return tuple(statements)
            self._report.error(token.position, "this } closes no block")
            self._index += 1

    def _statements(self) -> list[Statement]:
        """Statements up to the closing brace or the end of the text, neither of which is consumed."""
        statements: list[Statement] = []
        while True:
            token = self._next()
            if token.kind is Kind.END or self._is(token, "}"):
                return statements
            start, depth = self._index, self._depth
            try:
                statements.append(self._statement(token))
            except _SyntaxError:
                self._depth = depth
                self._recover(start)

    def _statement(self, token: Token) -> Statement:
        if self._is(token, "$"):
            return self._conditional()
        if token.kind is not Kind.NAME:
            self._fail(token, f"{token} where a statement should begin")
        self._index += 1
        following = self._peek()
        if token.text in ("include", "include_shell"):
            return Include(self._expression(), token.text == "include_shell", token.position)
        if token.text == "global" and self._is(self._next(), "{"):
            return Global(self._body())
        if token.text == "else" or (token.text in _ELSE_IF and self._is(following, "$")):
            self._fail(token, f'"{token.text}" follows no condition block')
        return self._assignment(token, following)

    def _assignment(self, name: Token, operator: Token) -> Assignment:
        if operator.kind is not Kind.OPERATOR or operator.text not in _ASSIGNING:
            hint = "values are compared in conditions only" if operator.text in _COMPARING else ""
            self._fail(operator, f'{operator} after "{name.text}" where = += or := should be', hint)
        self._index += 1
        return Assignment(name.text, operator.text, self._expression(), name.position)

    def _conditional(self) -> Conditional:
        branches = [self._branch()]
        while True:
            before = self._index
            token = self._next()
            if token.kind is not Kind.NAME or not (token.text == "else" or token.text in _ELSE_IF):
                self._index = before
                return Conditional(tuple(branches))
            if token.text in _ELSE_IF and not self._is(self._tokens[self._index + 1], "$"):
                self._index = before
                return Conditional(tuple(branches))
            if branches[-1].test is None:
                self._fail(token, "nothing can follow a plain else: this branch would never be used")
            self._index += 1
            following = self._next()
            if token.text == "else" and following.kind is Kind.NAME and following.text == "if":
                self._index += 1
                following = self._next()
            if self._is(following, "$"):
                branches.append(self._branch())
            elif token.text == "else" and self._is(following, "{"):
                branches.append(Branch(None, self._body(), token.position))
            else:
                self._fail(following, f"{following} where a condition or {{ should follow {token.text}")

    def _branch(self) -> Branch:
        dollar = self._expect("$")
        variable = self._peek()
        if variable.kind is not Kind.NAME:
            self._fail(variable, f'{variable} after "$" where HTTP, SERVER or REQUEST_HEADER should be')
        self._index += 1
        self._expect("[")
        key = self._expression()
        self._expect("]")
        operator = self._peek()
        if operator.kind is not Kind.OPERATOR or operator.text not in _COMPARING:
            hint = "to compare, write ==" if operator.text == "=" else ""
            self._fail(operator, f"{operator} where one of {' '.join(_COMPARING)} should be", hint)
        self._index += 1
        value = self._expression()
        test = Test(variable.text, key, operator.text, value, dollar.position)
        return Branch(test, self._body(), dollar.position)

    def _body(self) -> tuple[Statement, ...]:
        brace = self._next()
        if not self._is(brace, "{"):
            self._fail(brace, f"{brace} where {{ should be")
        self._index += 1
        self._enter(brace)
        statements = self._statements()
        self._depth -= 1
        if not self._is(self._peek(), "}"):
            self._report.error(brace.position, "this { has no closing }")
            return tuple(statements)
        self._index += 1
        return tuple(statements)

    def _expression(self) -> Expression:
        first = self._term()
        terms = [first]
        while self._is(self._peek(), "+"):
            self._index += 1
            terms.append(self._term())
        return first if len(terms) == 1 else Sum(tuple(terms), first.position)

    def _term(self) -> Literal | Reference | ArrayLiteral:
        token = self._next()
        self._index += 1
        if token.kind is Kind.STRING:
            return Literal(token.text, token.position)
        if token.kind is Kind.INTEGER:
            return Literal(int(token.text), token.position)
        if token.kind is Kind.NAME:
            return Reference(token.text, token.position)
        if self._is(token, "("):
            return self._array(token)
        self._index -= 1
        return self._fail(token, f"{token} where a value should be")

    def _array(self, opening: Token) -> ArrayLiteral:
        self._enter(opening)
        items: list[Item] = []
        while True:
            token = self._next()
            if self._is(token, ")"):
                self._index += 1
                self._depth -= 1
                return ArrayLiteral(tuple(items), opening.position)
            if self._is(token, ","):
                self._index += 1
                continue
            if token.kind is Kind.END or self._is(token, "{") or self._is(token, "}"):
                self._fail(opening, "this ( has no closing )")
            items.append(self._item())
            after = self._next()
            if not (self._is(after, ",") or self._is(after, ")")):
                if after.kind is Kind.END or self._begins_statement(after):
                    self._fail(opening, "this ( has no closing )")
                self._fail(after, f"{after} where a comma or ) should be")

    def _item(self) -> Item:
        first = self._expression()
        if not self._is(self._next(), "=>"):
            return Item(None, first)
        self._index += 1
        return Item(first, self._expression())

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail(token, f"more than {_DEEPEST} levels of parentheses and braces")

    def _peek(self) -> Token:
        return self._tokens[self._index]

    def _next(self) -> Token:
        """The next token beyond ends of lines, which is not consumed."""
        while self._tokens[self._index].kind is Kind.LINE_END:
            self._index += 1
        return self._tokens[self._index]

    def _expect(self, operator: str) -> Token:
        token = self._peek()
        if not self._is(token, operator):
            self._fail(token, f"{token} where {operator} should be")
        self._index += 1
        return token

    @staticmethod
    def _is(token: Token, operator: str) -> bool:
        return token.kind is Kind.OPERATOR and token.text == operator

    def _fail(self, token: Token, reason: str, hint: str = "") -> NoReturn:
        self._report.error(token.position, reason, hint)
        raise _SyntaxError

    def _recover(self, start: int) -> None:
        """Go on where the next statement seems to begin: at the beginning of a line."""
        self._index = max(self._index, start + 1)
        while True:
            token = self._tokens[min(self._index, len(self._tokens) - 1)]
            if token.kind is Kind.END:
                self._index = len(self._tokens) - 1
                return
            previous = self._tokens[self._index - 1]
            if previous.kind is Kind.LINE_END and self._begins_statement(token):
                return
            self._index += 1

    def _begins_statement(self, token: Token) -> bool:
        if self._is(token, "$") or self._is(token, "}"):
            return True
        if token.kind is not Kind.NAME:
            return False
        following = self._tokens[self._index + 1]
        return token.text in ("include", "include_shell") or following.text in _ASSIGNING
