"""docs/programs.md: the programs it shows, built as it says, with the configuration it shows, answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.box import Box
from tests.lighttpd import check
from tests.programs.page import PAGE, Place, sections
from tests.programs.programs import PROGRAMS, compile_c, compile_go

# The commands of the page that make a program of a source, and the section where they stand.
_COMPILED = {
    "C": ("gcc -o hello hello.c -lfcgi", "hello.c", ("-lfcgi",)),
    "C with threads": ("gcc -pthread -o hello hello.c -lfcgi", "hello.c", ("-lfcgi",)),
}


def put(place: Place, title: str) -> None:
    """The sources of a section where the page says they are, compiled."""
    for shown, text in sections()[title].sources.items():
        path = place.path(shown)
        text = text.replace("#!/usr/bin/python3\n", f"#!{sys.executable}\n")  # the one that has flup
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    page = PAGE.read_text("utf-8")
    if title in _COMPILED:
        command, source, libraries = _COMPILED[title]
        assert f"`{command}`" in page
        compile_c(place.programs / "hello", source, *libraries)
    elif title == "Go":
        assert "`go build -o hello hello.go`" in page
        compile_go(place.programs / "hello", place.programs / "hello.go")
    for commands in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if title == PROGRAMS["native"].title:
            subprocess.run(["sh", "-ec", commands], cwd=place.programs, check=True, timeout=60)


@pytest.mark.parametrize(
    "title",
    [pytest.param(title, marks=() if title == "C" else pytest.mark.slow) for title in sections()],
)
def test_what_is_shown_works(box: Box, place: Path, title: str) -> None:
    section, here = sections()[title], Place(place)
    put(here, title)
    text = here.adapted(section.configuration)
    done = check(text, place)
    assert done.returncode == 0, done.stderr
    box.serve(text)
    answer = box.fetch(section.path)
    assert (answer.status, answer.body) == (200, b"Hello\n"), box.log()
    assert box.stop() == 0


def test_every_section_has_a_program_in_the_tests() -> None:
    assert {program.title for program in PROGRAMS.values()} == set(sections())
