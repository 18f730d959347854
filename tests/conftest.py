"""Fixtures that all tests share: a place for files, the server under test, the oracle, a Trac site."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import trac_projects
from tests.box import Box
from tests.lighttpd import Lighttpd
from tests.trac_projects import Projects

# Under nohup and as a background job of a shell we were told to ignore these, and would hand that on to every
# program under test: none of them could be interrupted.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory that an unprivileged server may enter.

    pytest's tmp_path is below a directory of mode 0700; as root the server under test leaves root and could
    not read it. The name is short: unix sockets below it have 107 bytes.
    """
    directory = Path(tempfile.mkdtemp(prefix="fcgibox-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def boxes(place: Path) -> Iterator[Callable[[], Box]]:
    """Makes servers under test; each has a directory of its own and has ended when the test is over."""
    made: list[Box] = []

    def make() -> Box:
        made.append(Box(place / f"box{len(made)}"))
        return made[-1]

    yield make
    for box in reversed(made):
        box.end()
        # pytest shows it with a failure, and drops it otherwise.
        print(f"{box.log_path}:\n{box.log()}")


@pytest.fixture
def box(boxes: Callable[[], Box]) -> Box:
    """The server under test, not started yet."""
    return boxes()


@pytest.fixture
def lighttpd(place: Path) -> Iterator[Lighttpd]:
    """A real lighttpd, not started yet."""
    with Lighttpd(place / "lighttpd") as server:
        yield server


@pytest.fixture
def projects(place: Path) -> Projects:
    """A populated Trac site that this test may change."""
    return trac_projects.copied(place / "site")
