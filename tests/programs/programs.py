"""The programs of the tests: how each is built, and what of a request it shows.

Each answers the questions of tests/applications/questions.h, and runs with the configuration of its section
of docs/programs.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.box import ROOT
from tests.programs.page import Place, Section, sections

_SOURCES = ROOT / "tests/applications"


def compile_c(output: Path, *words: str | Path) -> None:
    """gcc with all warnings as errors."""
    flags = ("-Wall", "-Wextra", "-Werror", "-O1", "-pthread")
    _run("gcc", *flags, "-o", output, *words, cwd=output.parent)


def compile_go(output: Path, source: Path) -> None:
    """A program of one file; the cache of the compiler is beside it."""
    environment = {**os.environ, "GOCACHE": str(output.parent / "cache"), "GO111MODULE": "off"}
    _run("go", "build", "-o", output, source, cwd=output.parent, environment=environment)


def _run(*words: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def install(source: Path, target: Path, interpreter: str = "") -> None:
    """An executable copy; `interpreter` replaces that of its first line, or is put before it."""
    lines = source.read_text("utf-8").splitlines(keepends=True)
    if interpreter:
        lines = [f"#!{interpreter}\n", *(lines[1:] if lines[0].startswith("#!") else lines)]
    target.write_text("".join(lines), "utf-8")
    target.chmod(0o755)


def compile_native(
    directory: Path, program: Path, library: Path, *more: str | Path, where: str = "$ORIGIN"
) -> None:
    """A program and libmyapp_u.so beside it; `where` is where the program looks for it."""
    made = directory / "libmyapp_u.so"
    compile_c(made, "-shared", "-fPIC", library, *more)
    compile_c(directory / "myapp.fcgi", program, *more, "-L.", "-lmyapp_u", "-lfcgi", f"-Wl,-rpath,{where}")
    made.chmod(0o755)


def _php(place: Place) -> None:
    shutil.copy(_SOURCES / "questions.php", place.www / "hello.php")


def _single(place: Place) -> None:
    compile_c(place.programs / "hello", _SOURCES / "single.c", _SOURCES / "questions.c", "-lfcgi")


def _threaded(place: Place) -> None:
    compile_c(place.programs / "hello", _SOURCES / "threaded.c", _SOURCES / "questions.c", "-lfcgi")


def _native(place: Place) -> None:
    compile_native(place.programs, _SOURCES / "single.c", _SOURCES / "questions.c", f"-I{_SOURCES}")


def _perl(name: str) -> Callable[[Place], None]:
    def build(place: Place) -> None:
        install(_SOURCES / name, place.programs / "hello.fcgi")
        shutil.copy(_SOURCES / "questions.pl", place.programs)

    return build


def _wsgi(place: Place) -> None:
    shutil.copy(_SOURCES / "questions.py", place.hello / "hello.py")


def _flup(place: Place) -> None:
    install(_SOURCES / "flup_server.py", place.programs / "hello.fcgi", sys.executable)
    shutil.copy(_SOURCES / "questions.py", place.programs)


def _cgi(place: Place) -> None:
    install(_SOURCES / "plain.pl", place.www / "hello.cgi")
    shutil.copy(_SOURCES / "questions.pl", place.www)


def _go(place: Place) -> None:
    compile_go(place.programs / "hello", _SOURCES / "responder.go")


@dataclass(frozen=True, slots=True)
class Program:
    """One program, and what is particular about it."""

    title: str  # of its section
    build: Callable[[Place], None]
    path: str = ""  # where it answers questions, if that is not where the section looks
    rest: str = "/a/b"  # a path after the one that the section names
    names_request: bool = True  # what it complains about says which request it belongs to
    environment: bool = True  # it shows all of its environment

    @property
    def section(self) -> Section:
        return sections()[self.title]


PROGRAMS = {
    "php": Program("PHP", _php),
    "single": Program("C", _single),
    "threaded": Program("C with threads", _threaded),
    "native": Program(
        "A compiled application with its own library", _native, path="/myapp/index.php", rest="/a/b.php"
    ),
    "perl": Program("Perl", _perl("fcgi.pl")),
    "fast": Program("Perl with CGI::Fast", _perl("fast.pl")),
    "wsgi": Program("Python", _wsgi),
    "flup": Program("Python with flup", _flup, rest="/a/b.py"),
    "cgi": Program("CGI scripts", _cgi),
    "go": Program("Go", _go, names_request=False, environment=False),
}
