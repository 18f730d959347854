"""The same requests to every program, through our server and, where lighttpd is the oracle, through it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.box import Box
from tests.http_client import Answer
from tests.lighttpd import Lighttpd
from tests.programs.page import Place, together
from tests.programs.programs import PROGRAMS
from tests.server import Server
from tests.waiting import until

Pairs: TypeAlias = "Sequence[tuple[str, str]]"

# What RFC 3875 and lighttpd tell a program; the rest of an environment is the process's own business.
_TOLD = frozenset(
    """CONTENT_LENGTH CONTENT_TYPE QUERY_STRING REQUEST_URI REDIRECT_URI REDIRECT_STATUS SCRIPT_NAME PATH_INFO
    PATH_TRANSLATED SCRIPT_FILENAME DOCUMENT_ROOT REQUEST_METHOD SERVER_PROTOCOL GATEWAY_INTERFACE
    REQUEST_SCHEME SERVER_ADDR SERVER_NAME REMOTE_ADDR PHP_SELF""".strip().split()
)

_SLOW = ("go",)  # its compiler is large: not for every run


class Site:
    """Programs behind one server of ours, each for the host of its name; the same behind lighttpd."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self._directory = directory
        self._places = {name: Place(directory / name) for name in names}
        for name, place in self._places.items():
            PROGRAMS[name].build(place)
        self.box = Box(directory / "box").serve(self._text())
        self._oracle: Lighttpd | None = None

    def _text(self) -> str:
        return together(
            {
                name: place.adapted(PROGRAMS[name].section.configuration)
                for name, place in self._places.items()
            }
        )

    @property
    def oracle(self) -> Lighttpd:
        """lighttpd with the same text; the sockets are its own."""
        if self._oracle is None:
            for place in self._places.values():
                place.use_other_sockets()
            self._oracle = Lighttpd(self._directory / "lighttpd").serve(self._text())
        return self._oracle

    def end(self) -> None:
        """End both servers."""
        if self._oracle is not None:
            self._oracle.end()
        self.box.end()

    def busy(self) -> int:
        """How many requests are being answered."""
        pools = self.box.status()["front"]["data"]["pools"].values()
        return sum(load for pool in pools for load in pool["processes"].values())


class Subject:
    """One program of a site."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.name = name
        self.program = PROGRAMS[name]
        self.path = self.program.path or self.program.section.path

    def fetch(self, target: str, server: Server | None = None, headers: Pairs = (), **options: Any) -> Answer:
        """One request to our server, or to the other."""
        return (server or self.site.box).fetch(target, headers=[("Host", self.name), *headers], **options)

    def ask(self, question: str, **options: Any) -> Answer:
        """One question at the path that the page names."""
        return self.fetch(f"{self.path}?{question}", **options)

    def told(self, target: str, server: Server, **options: Any) -> dict[str, str]:
        """The part of the environment that the web server decides on."""
        answer = self.fetch(target, server, **options)
        assert answer.status == 200, server.log()
        pairs = (line.partition("=") for line in answer.text.splitlines())
        found = {name: value for name, _, value in pairs if name in _TOLD or name.startswith("HTTP_")}
        if "PATH_INFO" not in found:
            # lighttpd's broken-scriptfilename makes PHP tell one, see test_php.
            found.pop("PATH_TRANSLATED", None)
        return found


@pytest.fixture(scope="module")
def sites() -> Iterator[Callable[[bool], Site]]:
    """The site of the quick programs, or that of the slow ones; made when it is asked for."""
    directory = Path(tempfile.mkdtemp(prefix="fcgibox-", dir="/tmp"))
    directory.chmod(0o755)
    made: dict[bool, Site] = {}

    def make(slow: bool) -> Site:
        if slow not in made:
            (directory / str(slow)).mkdir(mode=0o755)
            made[slow] = Site(directory / str(slow), [name for name in PROGRAMS if (name in _SLOW) == slow])
        return made[slow]

    yield make
    for site in made.values():
        site.end()
        print(site.box.log())
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ()) for name in PROGRAMS]
)
def subject(request: pytest.FixtureRequest, sites: Callable[[bool], Site]) -> Subject:
    return Subject(sites(request.param in _SLOW), request.param)


def test_a_page(subject: Subject) -> None:
    for path in (subject.program.section.path, subject.path):
        answer = subject.fetch(path)
        assert (answer.status, answer.body) == (200, b"Hello\n"), subject.site.box.log()
    assert subject.fetch(subject.path, method="HEAD").body == b""


def test_the_environment_is_that_of_lighttpd(subject: Subject) -> None:
    if not subject.program.environment:
        assert "REQUEST_METHOD=GET" in subject.ask("env").text
        return
    rest = f"{subject.path}{subject.program.rest}?env"
    typed = {"method": "POST", "body": b"a=b", "headers": [("Content-Type", "a/b")]}
    requests: list[tuple[str, dict[str, Any]]] = [
        (f"{subject.path}?env", {}),
        (rest, {"headers": [("X-A", "b"), ("Cookie", "c=d")]}),
        (f"{subject.path}?env", typed),
    ]
    for target, options in requests:
        expected = subject.told(target, subject.site.oracle, **options)
        assert subject.told(target, subject.site.box, **options) == expected


def test_a_body(subject: Subject) -> None:
    body = bytes(range(256)) * 800
    headers = [("Content-Type", "application/octet-stream")]
    answer = subject.ask("echo", method="POST", body=body, headers=headers)
    assert (answer.status, answer.body == body) == (200, True)


def test_a_large_answer(subject: Subject) -> None:
    answer = subject.ask("large=1000003")
    assert (answer.status, len(answer.body), answer.body[-3:]) == (200, 1000003, b"012")


def test_a_complaint_is_logged_with_its_request(subject: Subject) -> None:
    box, text = subject.site.box, f"no-milk-for-{subject.name}"
    assert subject.ask(f"complain={text}").text == "complained\n"
    if subject.program.names_request:
        line = box.wait_log(f"GET {subject.path}?complain={text}: ")
        assert line.partition(f"{text}: ")[2].endswith(text)
    else:
        box.wait_log(f": {text}")


def test_killed_in_the_middle(subject: Subject) -> None:
    answer = subject.ask("die")
    assert (answer.status, b"half" in answer.body) == (502, False), subject.site.box.log()
    until(lambda: subject.ask("again").status == 200, problem="not replaced", details=subject.site.box.log)


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_graceful_stop_lets_them_finish(sites: Callable[[bool], Site], slow: bool) -> None:
    """The last test: every program works on a request when the server is stopped."""
    site = sites(slow)
    names = [name for name in PROGRAMS if (name in _SLOW) == slow]
    with ThreadPoolExecutor(len(names)) as threads:
        asked = {name: threads.submit(Subject(site, name).ask, "slow") for name in names}
        until(lambda: site.busy() == len(names), details=lambda: str(site.box.status()))
        assert site.box.stop() == 0
        answers = {name: (future.result().status, future.result().body) for name, future in asked.items()}
    assert answers == dict.fromkeys(names, (200, b"Hello\n")), site.box.log()
    assert "SIGKILL" not in site.box.log().partition("stopping: ")[2]
    site.box.wait_nothing_left()
