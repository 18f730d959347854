"""The four ways to choose a host on real connections, beside a real lighttpd."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.box import Box
from tests.hosts.conftest import Start
from tests.hosts.site import configuration
from tests.lighttpd import Lighttpd

Asked = list[str]


def names(server: Box | Lighttpd, paths: list[str], headers: dict[str, str] | None = None) -> Asked:
    """Who answered, one request after the other."""
    answers = [server.fetch(path, headers=headers or {}) for path in paths]
    assert {answer.status for answer in answers} == {200}, server.log()
    return [answer.text for answer in answers]


def at_once(server: Box | Lighttpd, count: int) -> Counter[str]:
    """Who answers requests that are all at work at the same time."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(server.fetch("/?sleep=0.5").text)) for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return Counter(found)


@pytest.mark.parametrize("balance", ["", "round-robin"])
@pytest.mark.holds("fastcgi.balance")
def test_loads_and_turns_as_lighttpd(
    box: Box, lighttpd: Lighttpd, place: Path, start: Start, balance: str
) -> None:
    hosts = [start(name, (f"127.0.0.{number}", 0)) for number, name in enumerate("abc", 1)]
    text = configuration(place, hosts, balance)
    ours, theirs = box.serve(text), lighttpd.serve(text)
    paths = [f"/{number}" for number in range(9)]
    one_after_the_other = names(theirs, paths)
    if balance == "round-robin":
        # lighttpd begins somewhere; the order is what counts.
        found = names(ours, paths)
        assert "".join(found * 2).find("".join(one_after_the_other[:6])) >= 0
    else:
        assert names(ours, paths) == one_after_the_other == ["a"] * 9
        assert at_once(ours, 6) == at_once(theirs, 6) == {"a": 2, "b": 2, "c": 2}


@pytest.mark.holds("fastcgi.balance")
def test_a_url_stays_with_its_host_as_in_lighttpd(
    box: Box, lighttpd: Lighttpd, place: Path, start: Start
) -> None:
    hosts = [start(str(number)) for number in range(5)]
    text = configuration(place, hosts, "hash")
    paths = [f"/{number}" for number in range(30)]
    for server in (box.serve(text), lighttpd.serve(text)):
        first = names(server, paths)
        assert names(server, [f"{path}?q={path}" for path in paths]) == first, "the query does not count"
        assert names(server, paths[::-1]) == first[::-1]
        if server is box:
            # Five hosts that differ only in their port: lighttpd often gives everything to one of them.
            assert len(set(first)) == 5
            assert names(server, paths, {"Host": "other.example.org"}) != first, "the authority counts"
    for host in hosts[1:]:
        host.stop()
    assert names(box, paths) == names(lighttpd, paths) == ["0"] * 30


def test_only_the_keys_of_a_dead_host_move_and_they_come_back(box: Box, place: Path, start: Start) -> None:
    hosts = [start(str(number)) for number in range(4)]
    box.serve(configuration(place, hosts, "hash"))
    paths = [f"/{number}" for number in range(24)]
    before = names(box, paths)
    dead = before[0]
    hosts[int(dead)].stop()
    during = names(box, paths)
    assert all(new == old if old != dead else new != dead for old, new in zip(before, during, strict=True))
    hosts[int(dead)].start()
    box.wait_log("is down")
    # The first request after disable-time finds out.
    for _ in range(200):
        if box.get(paths[0]).text == dead:
            break
        threading.Event().wait(0.05)
    assert names(box, paths) == before


def test_a_client_stays_with_its_host_as_in_lighttpd(
    box: Box, lighttpd: Lighttpd, place: Path, start: Start
) -> None:
    hosts = [start(str(number)) for number in range(5)]
    text = configuration(place, hosts, "sticky")
    for server in (box.serve(text), lighttpd.serve(text)):
        assert len(set(names(server, [f"/{number}" for number in range(20)]))) == 1


@pytest.mark.holds("weight")
@pytest.mark.holds("weight")
def test_weights(box: Box, place: Path, start: Start) -> None:
    heavy, light = start("heavy"), start("light")
    box.serve(configuration(place, [f'{heavy.entry}, "weight" => 3 )', light], "round-robin"))
    assert Counter(names(box, ["/"] * 12)) == {"heavy": 9, "light": 3}
