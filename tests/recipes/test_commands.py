"""The commands themselves: `fcgibox recipe` without and with a name, `fcgibox version`."""

from __future__ import annotations

from appliance import __version__
from recipes.trac import USAGE
from tests.box import Box


def test_the_list_of_recipes(box: Box) -> None:
    done = box.run("recipe")
    assert done.returncode == 0
    assert done.stdout == (
        "Recipes:\n"
        "  trac   Trac: wiki, tickets, timeline and repository browser for projects\n"
        "\n"
        "`fcgibox recipe NAME --help` explains one.\n"
    )


def test_a_recipe_that_does_not_exist(box: Box) -> None:
    done = box.run("recipe", "trax")
    assert (done.returncode, done.stderr) == (
        2,
        "fcgibox: there is no recipe 'trax' (did you mean 'trac'?); `fcgibox recipe` lists them\n",
    )


def test_the_help_is_the_usage(box: Box) -> None:
    done = box.run("recipe", "trac", "--help")
    assert done.returncode == 0
    assert done.stdout.strip() == USAGE.strip()
    assert max(map(len, USAGE.splitlines())) <= 100


def test_an_unknown_option(box: Box) -> None:
    done = box.run("recipe", "trac", "--env", "x", "--prin")
    assert done.returncode == 0  # an unambiguous beginning is enough
    assert done.stdout.startswith("# Trac behind fcgibox")
    done = box.run("recipe", "trac", "--env", "x", "--bogus")
    assert done.returncode == 2
    assert "--bogus" in done.stderr


def test_the_version(box: Box) -> None:
    done = box.run("version")
    assert done.returncode == 0
    rows = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert rows["fcgibox"].startswith(f"{__version__} (")
    assert rows["Trac"] == "1.6"
    assert box.run("version", "--short").stdout == f"{__version__}\n"
