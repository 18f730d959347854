"""Delays grow, are forgiven, are counted by household, and the memory is bounded."""

from __future__ import annotations

import pytest

from appliance.passwords import throttle
from appliance.passwords.throttle import Throttle, source_of


def delays(guesses: Throttle, source: str, times: list[float]) -> list[float]:
    return [guesses.failed(source, now) for now in times]


def test_delays_grow_up_to_eight_seconds() -> None:
    assert delays(Throttle(), "10.0.0.1", [0.0] * 10) == [0, 0, 0, 0.5, 1, 2, 4, 8, 8, 8]


def test_other_addresses_are_not_slowed() -> None:
    guesses = Throttle()
    delays(guesses, "10.0.0.1", [0.0] * 10)
    assert guesses.failed("10.0.0.2", 0.0) == 0


def test_half_a_minute_of_quiet_forgives_one_failure() -> None:
    guesses = Throttle()
    delays(guesses, "10.0.0.1", [0.0] * 8)
    assert guesses.failed("10.0.0.1", 29.0) == 8
    assert guesses.failed("10.0.0.1", 29.0 + 60.0) == 4
    assert guesses.failed("10.0.0.1", 29.0 + 600.0) == 0


def test_too_many_waiting_answers_close_the_door_until_they_went_out() -> None:
    guesses = Throttle()
    delays(guesses, "10.0.0.1", [0.0] * 8)
    number = 5  # wait, 8 s at most
    while not guesses.crowded("10.0.0.1", 0.4):
        assert guesses.failed("10.0.0.1", 0.4) == 8
        number += 1
    assert number == throttle.DELAYED_LIMIT
    assert not guesses.crowded("10.0.0.2", 0.4)
    assert not guesses.crowded("10.0.0.1", 0.5)
    guesses.failed("10.0.0.1", 0.5)
    assert guesses.crowded("10.0.0.1", 0.9)
    assert not guesses.crowded("10.0.0.1", 1.0)


def test_the_address_that_failed_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "ADDRESS_LIMIT", 100)
    guesses = Throttle()
    delays(guesses, "10.9.9.9", [0.0] * 8)
    for number in range(100):
        guesses.failed(f"10.0.0.{number}", 1.0)
        if number == 50:
            guesses.failed("10.9.9.9", 1.0)
    assert len(guesses._guessers) == 100
    assert guesses.failed("10.9.9.9", 1.0) == 8
    assert guesses.failed("10.0.0.0", 1.0) == 0


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_sources(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_unix_socket_is_never_slowed() -> None:
    assert delays(Throttle(), "", [0.0] * 10) == [0] * 10
