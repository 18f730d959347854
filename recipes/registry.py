"""The recipes there are, and what the command line asks of each.

A recipe is a package of functions from options to configuration text (lighttpd's language). It is
imported only when it is asked for; the list itself costs nothing.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from appliance.errors import UserError
from appliance.supervisor.source import Running


class Plan(Protocol):
    """One application with its options, checked: what the server needs in order to run it."""

    @property
    def instance(self) -> str:
        """Short name, safe in a path, the same for the same data."""

    def text(self) -> str:
        """The configuration as of now, annotated. Raises UserError."""

    def check(self) -> Sequence[str]:
        """Look at everything, change nothing; what a start would do, line by line. Raises UserError."""

    def prepare(self) -> None:
        """Create what is missing. Raises UserError; nothing half-made is left then."""

    def watched(self) -> tuple[str, ...]:
        """Paths whose change may change the text."""

    def banner(self, running: Running) -> str:
        """The start block."""


class RecipeModule(Protocol):
    """The interface of a recipe's package."""

    USAGE: str
    """docopt text; its options hold at least --print and --check."""
    INTERNAL: Mapping[str, Callable[[], int]]
    """Subcommands that the recipe runs in processes of its own, not meant for people."""

    def plan(self, options: Mapping[str, Any]) -> Plan:
        """Check the options. Raises UserError."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An entry of the list."""

    name: str
    summary: str

    def module(self) -> RecipeModule:
        """Import the recipe."""
        return cast(RecipeModule, importlib.import_module(f"recipes.{self.name}"))


RECIPES = (Recipe("trac", "Trac: wiki, tickets, timeline and repository browser for projects"),)


def find(name: str) -> Recipe:
    """The recipe of this name. Raises UserError with the nearest one."""
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    near = difflib.get_close_matches(name, [recipe.name for recipe in RECIPES], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise UserError(f"there is no recipe {name!r}{hint}; `fcgibox recipe` lists them", status=2)
