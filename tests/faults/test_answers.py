"""Applications that fail at each point of an answer: status, log line, and everything is back afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.faults.scripted import nothing_lost, serve_scripted
from tests.http_client import ProtocolViolation


@pytest.fixture(scope="module")
def site() -> Iterator[Box]:
    """One server for all faults of this module: each has to leave it as it was."""
    with tempfile.TemporaryDirectory(prefix="fcgibox-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        with Box(place / "box") as box:
            yield serve_scripted(box, place)
            print(box.log())


UNANSWERED = "answered with 502: waiting for the answer: the connection was closed without an answer"
CUT = "answered with 502: receiving the answer: the connection was closed in the middle of the answer"


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("raw=", 502, UNANSWERED),
        ("exit", 502, UNANSWERED),
        ("raw=Content-Ty", 502, CUT),
        ("short=0", 502, UNANSWERED),
        ("short=10", 502, CUT),
        ("cut=10", 502, CUT),
        ("wrongid", 502, "the application sent STDOUT for request 7, our request is 1"),
        ("garbage=0", 502, "does the program at this address speak FastCGI?"),
        ("raw=no+head%0a%0abody", 502, "answered with 502"),
        ("head=1000000", 502, "longer than 65536"),
        ("stderr=8192", 200, "app-%d: GET /app?stderr=8192: a complaint"),
        ("stderr=4000000", 200, "is not logged, it was more than 256 KiB"),
    ],
)  # fmt: skip
def test_before_the_answer_begins(site: Box, query: str, status: int, said: str) -> None:
    with nothing_lost(site):
        after = len(site.log())
        answer = site.get(f"/app?{query}")
        assert answer.status == status, site.log()[after:]
        line = site.wait_log(said.partition("%d")[2] or said, after=after)
        assert "GET /app?" in line
    assert len(site.log()) - after < 600_000, "a chatty application fills the log"


def test_in_the_middle_of_the_answer(box: Box, place: Path) -> None:
    serve_scripted(box, place)
    with nothing_lost(box):
        for query in ("short=300000", "cut=300000"):
            with box.wire(20) as wire, pytest.raises(ProtocolViolation):
                wire.get(f"/app?{query}")
            box.wait_log(f"GET /app?{query} was cut in the middle of its answer")


def test_dies_with_requests_queued(box: Box, place: Path) -> None:
    """One was at work, the others wait and are served by the process that comes after it."""
    serve_scripted(box, place)
    with nothing_lost(box):
        wires = [box.wire(20) for _ in range(5)]
        wires[0].request("GET", "/app?sleep=0.3&exit")
        for wire in wires[1:]:
            wire.request("GET", "/app?hello")
        assert [wire.answer().status for wire in wires] == [502, 200, 200, 200, 200]
        for wire in wires:
            wire.close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_closes_after_a_whole_answer_without_its_end(site: Box, version: bytes) -> None:
    """END_REQUEST is missing: nobody can know that this was all of it."""
    with nothing_lost(site), site.wire(20) as wire:
        wire.send(b"GET /app?raw=Content-Type:+a/b%0a%0ahello HTTP/" + version + b"\r\nHost: a\r\n\r\n")
        assert wire.answer().status == 502
