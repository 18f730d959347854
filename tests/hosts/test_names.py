"""A host that is a name: its addresses are hosts, and they change while the server runs."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import Box
from tests.hosts.backend import Backend
from tests.hosts.conftest import Start
from tests.hosts.nameserver import NameServer
from tests.hosts.site import configuration
from tests.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace and port 53 need root")

NAME = "app.fcgibox.test"


@pytest.fixture
def names(box: Box, place: Path) -> Iterator[NameServer]:
    """The name server of the box."""
    server = NameServer()
    server.steer(box, place)
    yield server
    server.close()


def service(start: Start, *addresses: str) -> dict[str, Backend]:
    """Backends at these addresses and one port, named by their addresses."""
    found: dict[str, Backend] = {}
    for address in addresses:
        port = next(iter(found.values())).port if found else 0
        found[address] = start(address, (address, port))
    return found


def entry(port: int) -> str:
    keys = f'"host" => "{NAME}", "port" => {port}, "check-local" => "disable", "resolve-interval" => 1'
    return f"( {keys} )"


def shares(box: Box, count: int) -> Counter[str]:
    answers = [box.get(f"/{number}") for number in range(count)]
    assert {answer.status for answer in answers} == {200}, box.log()
    return Counter(answer.text for answer in answers)


@pytest.mark.holds("resolve-interval", "host")
def test_every_address_is_a_host_and_the_set_changes(
    box: Box, place: Path, start: Start, names: NameServer
) -> None:
    one, two, three = "127.1.0.1", "127.1.0.2", "127.1.0.3"
    backends = service(start, one, two, three)
    names.names[NAME] = [two, one]
    box.serve(configuration(place, [entry(backends[one].port)], "round-robin"))
    box.wait_log(f"the host '{NAME}' is {one}, {two}")  # what comes before waits for the first of them
    assert shares(box, 10) == {one: 5, two: 5}
    names.names[NAME] = [two, three]
    line = box.wait_log(f"the host '{NAME}' is {two}, {three}; new: {three}; gone: {one}")
    assert "[info]" in line
    assert shares(box, 10) == {two: 5, three: 5}
    names.broken = True
    box.wait_log("the addresses it had stay in use")
    assert shares(box, 10) == {two: 5, three: 5}
    names.broken = False
    box.wait_log(f"the host '{NAME}' has an address again")
    assert box.log().count("no address for the host") == 1


@pytest.mark.slow
def test_a_request_at_an_address_that_goes_ends_there(
    box: Box, place: Path, start: Start, names: NameServer
) -> None:
    one, two = "127.1.1.1", "127.1.1.2"
    backends = service(start, one, two)
    names.names[NAME] = [one]
    box.serve(configuration(place, [entry(backends[one].port)]))
    answers: list[str] = []
    running = threading.Thread(target=lambda: answers.append(box.get("/?sleep=4").text))
    running.start()
    until(lambda: backends[one].paths, 10, "it does not arrive", box.log)
    names.names[NAME] = [two]
    box.wait_log(f"gone: {one}")
    assert shares(box, 5) == {two: 5}
    assert not answers, "the request at the old address is still at work"
    running.join(20)
    assert answers == [one]


@pytest.mark.slow
def test_requests_wait_for_the_first_lookup(box: Box, place: Path, start: Start, names: NameServer) -> None:
    backends = service(start, "127.1.2.1", "127.1.2.2")
    names.names[NAME] = list(backends)
    names.silent = True  # the C library asks again after a second, or gives up and we ask again
    box.serve(configuration(place, [entry(backends["127.1.2.1"].port)], "hash"))
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(box.get("/").status)) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: box.status()["front"]["data"]["pools"]["root"]["waiting"] == 3 or answers, 10)
    names.silent = False
    for thread in threads:
        thread.join(20)
    # Those that waited through a lookup that failed were told so; nobody waits for ever.
    assert set(answers) <= {200, 503} and len(answers) == 3
    until(lambda: box.get("/").status == 200, 20, "the name is not found", box.log)
    assert len({box.get(f"/{number}").text for number in range(20)}) == 2


@pytest.mark.slow
def test_a_name_without_an_address(box: Box, place: Path, start: Start, names: NameServer) -> None:
    backends = service(start, "127.1.3.1")
    box.serve(configuration(place, [entry(backends["127.1.3.1"].port)]))
    until(lambda: box.get("/").status == 503, 10)
    line = box.wait_log("all hosts of")
    assert f"no address for the host '{NAME}' (Name or service not known)" in line
    assert "mend the name, or the name servers of this machine" in box.log()
    names.names[NAME] = ["127.1.3.1"]
    until(lambda: box.get("/").status == 200, 20, "it is not found", box.log)


@pytest.mark.slow
def test_an_address_that_fails_is_looked_up_soon(
    box: Box, place: Path, start: Start, names: NameServer
) -> None:
    backends = service(start, "127.1.4.1", "127.1.4.2")
    names.names[NAME] = list(backends)
    slow = entry(backends["127.1.4.1"].port).replace('"resolve-interval" => 1', '"resolve-interval" => 3600')
    box.serve(configuration(place, [slow], "round-robin"))
    box.wait_log(f"the host '{NAME}' is 127.1.4.1, 127.1.4.2")
    assert shares(box, 4) == {"127.1.4.1": 2, "127.1.4.2": 2}
    backends["127.1.4.1"].stop()
    names.names[NAME] = ["127.1.4.2"]
    assert shares(box, 4) == {"127.1.4.2": 4}, "no client sees it"
    box.wait_log("gone: 127.1.4.1", 20)
