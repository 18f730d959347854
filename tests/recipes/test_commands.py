"""The commands themselves: `fcgibox recipe` without and with a name, `fcgibox version`."""

from __future__ import annotations

import pytest

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
    assert (done.returncode, done.stderr) == (
        2,
        "fcgibox: there is no option --bogus; `fcgibox recipe trac --help` lists them\n",
    )


@pytest.mark.parametrize(
    ("words", "first_line"),
    [
        (
            "recipe trac --envv x",
            "there is no option --envv (did you mean --env?); `fcgibox recipe trac --help` lists them",
        ),
        (
            "serve --nmae a b",
            "there is no option --nmae (did you mean --name?); `fcgibox serve --help` lists them",
        ),
        ("recipe trac --env x --at a --at b", "--at is there twice; once is enough"),
        ("recipe trac --env x more", "'more' has no place here"),
        ("recipe trac --env", "--env requires argument"),
        ("passwd x", "this is not complete, or does not go together"),
        ("--bogus", "there is no option --bogus; `fcgibox --help` lists them"),
    ],
)
def test_a_command_line_that_is_wrong(words: str, first_line: str, box: Box) -> None:
    done = box.run(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"fcgibox: {first_line}"
    assert "Option(" not in done.stderr and "Argument(" not in done.stderr


def test_the_help_of_the_command_itself(box: Box) -> None:
    for option in ("-h", "--help"):
        done = box.run("recipe", option)
        assert (done.returncode, done.stderr) == (0, "")
        assert "`fcgibox recipe NAME --help` explains one." in done.stdout


def test_the_version(box: Box) -> None:
    done = box.run("version")
    assert done.returncode == 0
    rows = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert rows["fcgibox"].startswith(f"{__version__} (")
    assert rows["Trac"] == "1.6"
    assert box.run("version", "--short").stdout == f"{__version__}\n"
