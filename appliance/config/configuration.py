"""A whole configuration, read and checked: the way in to this package.

`load` either gives a `Configuration` that can be served, or raises `ConfigurationError` with all that is
wrong.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.config.diagnostic import BUILT_IN, ConfigurationError, Diagnostic, Position, Report
from appliance.config.evaluation import Evaluator, Scope, read, reason
from appliance.config.listener import DEFAULT_BACKLOG, Listener, parse_listener
from appliance.config.matcher import Block, Matcher
from appliance.config.pools import PoolDefinition
from appliance.config.settings import Settings
from appliance.config.validation import Validation

_PASSWORD_FILES = ("auth.backend.htpasswd.userfile", "auth.backend.plain.userfile")


@dataclass(frozen=True, slots=True, eq=False)
class Configuration:
    """What a text says: complete, checked, immutable."""

    origin: str
    settings: Settings
    values: dict[str, Any]  # of the outermost scope, without defaults
    blocks: tuple[Block, ...]
    notices: tuple[Diagnostic, ...]
    files: tuple[str, ...]  # included ones, in the order of reading
    _listeners: tuple[Listener, ...]
    _pools: tuple[PoolDefinition, ...]

    def anywhere(self, name: str) -> bool:
        """Whether any scope sets an option to something that is not nothing."""
        return bool(self.values.get(name)) or any(block.values.get(name) for block in self.blocks)

    def matcher(self) -> Matcher:
        """A new matcher; the front builds one and keeps it."""
        return Matcher(self.settings, self.values, self.blocks)

    def listeners(self) -> tuple[Listener, ...]:
        """The sockets to listen on: server.bind and port first, then each $SERVER["socket"] == "…"."""
        return self._listeners

    def pools(self) -> tuple[PoolDefinition, ...]:
        """The distinct pools of all scopes."""
        return self._pools

    def password_files(self) -> tuple[str, ...]:
        """The password files of all scopes, each once."""
        scopes = [self.values, *(block.values for block in self.blocks)]
        return tuple(
            dict.fromkeys(values[name] for values in scopes for name in _PASSWORD_FILES if values.get(name))
        )


def load_file(path: str | Path, *, allow_shell: bool = False) -> Configuration:
    """Read a file; ConfigurationError also if it cannot be read."""
    try:
        text = read(path)
    except (OSError, ValueError) as error:
        position = Position(str(path), 1, 1)
        diagnostic = Diagnostic(position, f"the configuration cannot be read: {reason(error)}")
        raise ConfigurationError([diagnostic]) from None
    return load(text, str(path), Path(path).absolute().parent, allow_shell=allow_shell)


def load(text: str, origin: str, base: Path | None = None, *, allow_shell: bool = False) -> Configuration:
    """Read a text; `origin` is its name in messages, `base` the directory that includes are relative to."""
    report = Report()
    evaluator = Evaluator(base or Path.cwd(), report, allow_shell=allow_shell)
    evaluator.text(text, origin)
    validation = Validation(evaluator.scopes, report)
    listeners = _listeners(evaluator.scopes, validation.values, report)
    report.raise_errors()
    outermost, *blocks = validation.values
    return Configuration(
        origin=origin,
        settings=Settings(outermost),
        values=outermost,
        blocks=tuple(
            _block(scope, values, outermost.get("server.port", 80))
            for scope, values in zip(evaluator.scopes[1:], blocks, strict=True)
        ),
        notices=tuple(report.notices),
        files=tuple(evaluator.files),
        _listeners=listeners,
        _pools=validation.pools,
    )


def _block(scope: Scope, values: dict[str, Any], port: int) -> Block:
    """The outermost scope is none of the blocks: their indexes are one less than the scopes'."""
    parent = scope.parent.index - 1 if scope.parent is not None else -1
    previous = scope.previous.index - 1 if scope.previous is not None else -1
    condition = scope.condition.on_port(port) if scope.condition is not None else None
    return Block(condition, parent, previous, values)


def _listeners(scopes: list[Scope], values: list[dict[str, Any]], report: Report) -> tuple[Listener, ...]:
    found: dict[str, Listener] = {}
    port = values[0].get("server.port", 80)
    for position, text, given in _addresses(scopes, values, report):
        try:
            listener = parse_listener(text, port, given.get("server.listen-backlog", DEFAULT_BACKLOG))
            if listener.kind == "unix" and given.get("server.socket-perms"):
                permissions = int(given["server.socket-perms"], 8)
                listener = dataclasses.replace(listener, permissions=permissions)
        except ValueError as error:
            report.error(position, str(error))
            continue
        found.setdefault(listener.name, listener)
    return tuple(found.values())


def _addresses(
    scopes: list[Scope], values: list[dict[str, Any]], report: Report
) -> Iterator[tuple[Position, str, dict[str, Any]]]:
    """Each address to listen on, the place that says so, and the options that count for it."""
    bind = scopes[0].values.get("server.bind")
    text = values[0].get("server.bind", "")
    position = bind.value.position if bind is not None else BUILT_IN
    if re.search(r"(?:^[^:/]*|\])(:[0-9]+)$", text):
        hint = 'server.port has it; or write $SERVER["socket"] == "…" {} for one more address'
        report.error(position, "server.bind takes an address without a port", hint)
        return
    yield position, text, values[0]
    for scope, given in zip(scopes[1:], values[1:], strict=True):
        if scope.condition is not None and scope.condition.listens:
            yield scope.position, scope.condition.address, {**values[0], **given}
