"""The values of all options that apply to a request.

A `Settings` is one merged scope: every option of the table has a value, its default where no line sets it.
Objects are compared by identity: the matcher gives the same object for the same set of conditions, so what
a handler compiles from it can be kept under it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from appliance.config.options import DEFAULTS
from appliance.config.pools import AuthRule, GatewayRule

if TYPE_CHECKING:
    from appliance.config.url_rules import UrlRule


class Settings:
    """Option values by full name; the getter says the type that the option's line in the table has."""

    __slots__ = ("__weakref__", "_given", "_values")

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = frozenset(given)
        self._values: dict[str, Any] = {**DEFAULTS, **given}

    def beneath(self, root: str) -> Settings:
        """The same scope with another document root, and without aliases: all files are there."""
        return Settings(
            {name: value for name, value in self._values.items() if name in self._given}
            | {"server.document-root": root, "alias.url": ()}
        )

    def value(self, name: str) -> Any:
        """The value of an option, whatever its type; KeyError for a name that is no option."""
        return self._values[name]

    def is_set(self, name: str) -> bool:
        """Whether a line of the configuration sets it in this scope or one around it."""
        return name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def string(self, name: str) -> str:
        """The value of a string option; "" if it is unset and has no default."""
        value = self._values[name]
        if value is None:
            return ""
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, not a string")
        return value

    def optional_string(self, name: str) -> str | None:
        """The value of a string option, None if it is unset and has no default."""
        return None if self._values[name] is None else self.string(name)

    def integer(self, name: str) -> int:
        """The value of an integer option, in the unit of the option table."""
        value = self._values[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}, not an integer")
        return value

    def boolean(self, name: str) -> bool:
        """The value of an option that is enabled or disabled."""
        value = self._values[name]
        if not isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}, not a boolean")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        """The value of an option that is a list of strings."""
        return cast("tuple[str, ...]", self._tuple(name))

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """The value of an option that maps strings to strings, in the order of the text."""
        return cast("tuple[tuple[str, str], ...]", self._tuple(name))

    def rules(self, name: str) -> tuple[GatewayRule, ...]:
        """The rules of "fastcgi.server" or "scgi.server", in the order of the text."""
        return cast("tuple[GatewayRule, ...]", self._tuple(name))

    def url_rules(self, name: str) -> tuple[UrlRule, ...]:
        """The rules of url.redirect or url.rewrite-…, in the order of the text."""
        return cast("tuple[UrlRule, ...]", self._tuple(name))

    def auth_rules(self) -> tuple[AuthRule, ...]:
        """The rules of "auth.require", in the order of the text."""
        return cast("tuple[AuthRule, ...]", self._tuple("auth.require"))

    def _tuple(self, name: str) -> tuple[Any, ...]:
        value = self._values[name]
        if not isinstance(value, tuple):
            raise TypeError(f"{name} is {value!r}, not a list")
        return value
