"""`fcgibox recipe`: run an application from a handful of options.

The recipe turns the options into configuration text; from there on everything is as if that text had been
in a file.
"""

from __future__ import annotations

import os
import sys

from docopt import docopt

from appliance import config
from appliance.config import Configuration
from appliance.errors import UserError
from appliance.supervisor import listeners
from appliance.supervisor.source import Running
from recipes import registry
from recipes.registry import Plan

USAGE = """fcgibox recipe: run an application.

Usage:
  fcgibox recipe
  fcgibox recipe <name> [<options>...]
  fcgibox recipe -h | --help

Without a name it lists the recipes; `fcgibox recipe NAME --help` explains one.
"""


class RecipeSource:
    """The supervisor's view of a plan: its text is made and read again at every reload."""

    def __init__(self, name: str, plan: Plan) -> None:
        self._origin = f"recipe {name}"
        self._plan = plan
        self.instance = plan.instance

    def load(self) -> Configuration:
        """The configuration as of now. Raises ConfigurationError or UserError."""
        return config.load(self._plan.text(), self._origin)

    def watched(self) -> tuple[str, ...]:
        """Directories in which a project or a password file may appear."""
        return self._plan.watched()

    def banner(self, running: Running) -> str:
        """The start block."""
        return self._plan.banner(running)


def run(argv: list[str]) -> int:
    """List the recipes, or run one, print its text, or check what it would do."""
    words = docopt(USAGE, argv=argv, options_first=True)
    name = words["<name>"]
    if name is None:
        print(_listing(), end="")
        return 0
    if name in ("-h", "--help"):  # docopt takes it for the name
        print(USAGE, end="")
        return 0
    module = registry.find(name).module()
    arguments = words["<options>"]
    if arguments and arguments[0] in module.INTERNAL:
        return module.INTERNAL[arguments[0]]()
    options = docopt(module.USAGE, argv=["recipe", name, *arguments])
    plan = module.plan(options)
    source = RecipeSource(name, plan)
    if options["--print"]:
        sys.stdout.write(plan.text())
        return 0
    try:
        # Before anything is created: what cannot be served must not leave data behind.
        _require_addresses(source.load())
        if options["--check"]:
            print("\n".join(plan.check()))
            return 0
    except config.ConfigurationError as error:
        raise UserError(str(error)) from error
    plan.prepare()
    from appliance.supervisor import main  # only a start needs it all

    return main.run(source, main.RunOptions())


def _require_addresses(configuration: Configuration) -> None:
    """Every TCP address can be listened on now; nothing stays open. Raises UserError."""
    if "LISTEN_PID" in os.environ:
        return  # systemd holds them for us
    for listener in configuration.listeners():
        if listener.kind != "unix":
            listeners.bind(listener).close()


def _listing() -> str:
    width = max(len(recipe.name) for recipe in registry.RECIPES)
    lines = [f"  {recipe.name:{width}}   {recipe.summary}" for recipe in registry.RECIPES]
    return "\n".join(["Recipes:", *lines, "", "`fcgibox recipe NAME --help` explains one.", ""])
