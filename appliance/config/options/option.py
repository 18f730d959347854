"""What an option is: its name, its type, and what may be said about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias


class Type(enum.Enum):
    """What an option takes; the value is how a message calls it."""

    STRING = 'a string: "…"'
    INTEGER = "a number"
    BOOLEAN = '"enable" or "disable"'
    STRINGS = 'a list of strings: ( "…", "…" )'
    PAIRS = 'a list of pairs of strings: ( "…" => "…", "…" => "…" )'
    URL_RULES = 'a list of expressions and targets: ( "^/old/(.*)" => "/new/$1" )'
    SWITCHES = 'a list of switches: ( "…" => "enable" )'
    LIMITS = 'a list of limits: ( "nofile" => "1024" )'
    GATEWAY = 'hosts for each key: ( "/prefix" => (( "socket" => "…" )) )'
    AUTHENTICATION = (
        'rules for each prefix: ( "/prefix" => ( "method" => "basic", "realm" => "…", "require" => "…" ) )'
    )


Scope: TypeAlias = Literal["server", "socket", "request"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option; `scope` says whether it stands outside of blocks, also under a socket, or anywhere."""

    name: str
    type: Type
    default: Any
    meaning: str
    module: str = ""  # the module of server.modules that it belongs to; "" for the core
    scope: Scope = "request"
    unit: str = ""
    minimum: int = 0
    maximum: int = 2**31 - 1
    choices: tuple[str, ...] = ()
    refused: tuple[Any, ...] = ()  # values that are not supported yet
    without_effect: str = ""  # why setting it changes nothing here

    @property
    def ours(self) -> bool:
        """Whether it is an option of fcgibox alone."""
        return self.name.startswith("fcgibox.")


@dataclass(frozen=True, slots=True)
class Subject:
    """A table of options that belong together: a topic of `fcgibox help`, a heading in docs/options.md."""

    name: str
    title: str
    table: tuple[Option, ...]
