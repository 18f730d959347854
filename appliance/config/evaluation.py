"""Statements to scopes: variables are replaced, includes read, conditions collected; meaning comes later.

The rules are lighttpd's, each tried on the real one: a name is set once in a scope (`:=` sets it again);
`+=` goes on from the value that the scope or one around it has at that point; a name without a dot is a
variable (`var.NAME`) of the scope it is set in; two blocks with the same condition in the same place are
one block; `include` is relative to the main file's directory and may be a pattern.
"""

from __future__ import annotations

import glob
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias

from appliance.config import grammar
from appliance.config.condition import Condition, ConditionReason, condition
from appliance.config.diagnostic import BUILT_IN, Position, Report, nearest
from appliance.config.lexer import LARGEST_INTEGER, tokenize
from appliance.config.values import Array, Element, MergeError, Value, array, join

_DEEPEST_INCLUDE = 16
_MOST_INCLUDES = 1000
_LARGEST_FILE = 4 << 20
_SHELL_LIMIT = 30  # seconds that a command of include_shell may take


@dataclass(slots=True)
class Scope:
    """The outermost scope or a condition block; `values` are the options set in it, `variables` the rest."""

    index: int
    parent: Scope | None = None
    previous: Scope | None = None  # the branch before this one: an else counts only where that does not hold
    condition: Condition | None = None  # None: the outermost scope or a plain else
    position: Position = BUILT_IN
    values: dict[str, Assigned] = field(default_factory=dict)
    variables: dict[str, Assigned] = field(default_factory=dict)
    blocks: dict[BlockKey, Scope] = field(default_factory=dict)

    def names(self, name: str) -> dict[str, Assigned]:
        """The dictionary that a full name belongs to."""
        return self.variables if name.startswith("var.") else self.values

    def find(self, name: str) -> Assigned | None:
        """The value of a full name here or in the scopes around."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.names(name).get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None


BlockKey: TypeAlias = tuple[int | None, Condition | None]


@dataclass(frozen=True, slots=True)
class Assigned:
    """A value, and the place of the name it was given to.

    `failed`: the value could not be evaluated and was reported; that the name is used is no error of its own.
    """

    value: Value
    position: Position
    failed: bool = False


class _EvaluationError(Exception):
    """Ends the statement being evaluated, whose error is reported already."""


class Evaluator:
    """Evaluates a text and what it includes; `scopes` in the order in which they apply."""

    def __init__(self, base: Path, report: Report, *, allow_shell: bool) -> None:
        self.scopes = [Scope(0)]
        self.files: list[str] = []
        self._base = base
        self._report = report
        self._allow_shell = allow_shell
        self._including: list[str] = []
        self._included = 0
        built_in: dict[str, str | int] = {"var.CWD": os.getcwd(), "var.PID": os.getpid()}
        for name, content in built_in.items():
            self.scopes[0].variables[name] = Assigned(Value(content, BUILT_IN), BUILT_IN)

    def text(self, text: str, origin: str) -> None:
        """Evaluate a main text."""
        self._text(text, origin, self.scopes[0])

    def _text(self, text: str, origin: str, scope: Scope) -> None:
        before = len(self._report.errors)
        statements = grammar.parse(tokenize(text, origin, self._report), self._report)
        # After a syntax error half of the names would seem undefined: mend that first.
        if len(self._report.errors) == before:
            self._statements(statements, scope)

    def _statements(self, statements: tuple[grammar.Statement, ...], scope: Scope) -> None:
        for statement in statements:
            try:
                self._statement(statement, scope)
            except _EvaluationError:
                continue

    def _statement(self, statement: grammar.Statement, scope: Scope) -> None:
        if isinstance(statement, grammar.Assignment):
            self._assign(statement, scope)
        elif isinstance(statement, grammar.Include):
            self._include(statement, scope)
        elif isinstance(statement, grammar.Global):
            self._statements(statement.body, self.scopes[0])
        else:
            self._conditional(statement, scope)

    def _assign(self, statement: grammar.Assignment, scope: Scope) -> None:
        if statement.name.startswith("env."):
            self._fail(statement.position, "the environment can be read, but not set")
        name = _full_name(statement.name)
        names = scope.names(name)
        try:
            value = self._value(statement.value, scope)
        except _EvaluationError:
            unknown = Value("", statement.position)
            names.setdefault(name, Assigned(unknown, statement.position, failed=True))
            raise
        before = names.get(name)
        if statement.operator == "=" and before is not None and before.position is not BUILT_IN:
            hint = f"it is set in {before.position}; := sets it again, += adds to it"
            self._fail(statement.position, f'"{statement.name}" is set twice in the same scope', hint)
        if statement.operator == "+=":
            inherited = scope.find(name)
            if inherited is not None and inherited.failed:
                raise _EvaluationError
            if inherited is not None:
                value = self._join(inherited.value, value, statement.position)
        names[name] = Assigned(value, statement.position)

    def _value(self, expression: grammar.Expression, scope: Scope) -> Value:
        if isinstance(expression, grammar.Literal):
            return Value(expression.value, expression.position)
        if isinstance(expression, grammar.Reference):
            return Value(self._lookup(expression, scope).content, expression.position)
        if isinstance(expression, grammar.Sum):
            total = self._value(expression.terms[0], scope)
            for term in expression.terms[1:]:
                total = self._join(total, self._value(term, scope), term.position)
            return total
        elements = [self._element(item, scope) for item in expression.items]
        try:
            return Value(array(elements), expression.position)
        except MergeError as error:
            self._fail(error.position or expression.position, str(error))

    def _element(self, item: grammar.Item, scope: Scope) -> Element:
        value = self._value(item.value, scope)
        if item.key is None:
            return Element(None, value, value.position)
        key = self._value(item.key, scope)
        if isinstance(key.content, Array):
            self._fail(key.position, "the key of an array's element is a string")
        return Element(str(key.content), value, key.position)

    def _join(self, left: Value, right: Value, position: Position) -> Value:
        try:
            joined = join(left, right)
        except MergeError as error:
            self._fail(error.position or position, str(error))
        if isinstance(joined.content, int) and joined.content > LARGEST_INTEGER:
            self._fail(position, f"this sum is beyond the largest number, {LARGEST_INTEGER}")
        return joined

    def _lookup(self, reference: grammar.Reference, scope: Scope) -> Value:
        name = _full_name(reference.name)
        if name.startswith("env."):
            content = os.environ.get(name.removeprefix("env."))
            if content is None:
                self._fail(
                    reference.position, f'the environment has no variable "{name.removeprefix("env.")}"'
                )
            return Value(content, reference.position)
        found = scope.find(name)
        if found is not None:
            if found.failed:
                raise _EvaluationError
            return found.value
        if reference.name in ("enable", "disable", "true", "false"):
            self._fail(
                reference.position, f'write "{reference.name}" between quotes: a bare word is a variable'
            )
        known = {seen.removeprefix("var.") for around in self._around(scope) for seen in around.variables}
        self._fail(
            reference.position,
            f'"{reference.name}" has no value here',
            nearest(reference.name, known) or "a variable has to be set above its use",
        )

    def _around(self, scope: Scope | None) -> list[Scope]:
        found = []
        while scope is not None:
            found.append(scope)
            scope = scope.parent
        return found

    def _conditional(self, statement: grammar.Conditional, scope: Scope) -> None:
        previous: Scope | None = None
        for branch in statement.branches:
            previous = self._block(branch, scope, previous)
            self._statements(branch.body, previous)

    def _block(self, branch: grammar.Branch, scope: Scope, previous: Scope | None) -> Scope:
        test = self._condition(branch.test, scope) if branch.test is not None else None
        key = (None if previous is None else previous.index, test)
        known = scope.blocks.get(key)
        if known is not None:
            return known
        block = Scope(len(self.scopes), scope, previous, test, branch.position)
        self.scopes.append(block)
        scope.blocks[key] = block
        return block

    def _condition(self, test: grammar.Test, scope: Scope) -> Condition:
        key, value = self._value(test.key, scope), self._value(test.value, scope)
        for operand in (key, value):
            if not isinstance(operand.content, str):
                self._fail(operand.position, f"{operand.kind} where a condition needs a string")
        try:
            return condition(test.variable, str(key.content), test.operator, str(value.content))
        except ConditionReason as error:
            places = {"variable": test.position, "key": key.position, "value": value.position}
            self._fail(places[error.about], str(error), error.hint)

    def _include(self, statement: grammar.Include, scope: Scope) -> None:
        source = self._value(statement.source, scope)
        if not isinstance(source.content, str) or not source.content:
            self._fail(source.position, f"{source.kind} where the name of a file should be")
        self._included += 1
        if len(self._including) >= _DEEPEST_INCLUDE or self._included > _MOST_INCLUDES:
            chain = " → ".join(self._including[-3:])
            self._fail(statement.position, f"too many includes, one within the other: {chain}")
        if statement.shell:
            self._include_shell(source.content, source.position, scope)
            return
        for path in self._matching(source.content, source.position):
            self._include_file(path, source.position, scope)

    def _matching(self, pattern: str, position: Position) -> list[str]:
        full = os.path.join(self._base, pattern)
        if not glob.has_magic(pattern):
            return [full]
        return sorted(glob.glob(full))

    def _include_file(self, path: str, position: Position, scope: Scope) -> None:
        try:
            text = read(path)
        except (OSError, ValueError) as error:
            self._fail(position, f"{path} cannot be read: {reason(error)}")
        self.files.append(path)
        self._including.append(path)
        self._text(text, path, scope)
        self._including.pop()

    def _include_shell(self, command: str, position: Position, scope: Scope) -> None:
        if not self._allow_shell:
            hint = "it would run a command of the text; allow it with --allow-shell, or write its output here"
            self._fail(position, "include_shell is not allowed", hint)
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._base,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SHELL_LIMIT,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            self._fail(position, f"the command cannot be run: {error}")
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            self._fail(position, f"the command ended with status {done.returncode}", said)
        self._including.append(command)
        self._text(done.stdout.decode("utf-8", "surrogateescape"), f"output of `{command}`", scope)
        self._including.pop()

    def _fail(self, position: Position, reason: str, hint: str = "") -> NoReturn:
        self._report.error(position, reason, hint)
        raise _EvaluationError


def read(path: str | Path) -> str:
    """The text of a configuration file; octets that are no UTF-8 survive. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"it is larger than {_LARGEST_FILE >> 20} MiB")
    return content.decode("utf-8", "surrogateescape")


def reason(error: Exception) -> str:
    """Why a file could not be read, without its name."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _full_name(name: str) -> str:
    return name if "." in name else f"var.{name}"
