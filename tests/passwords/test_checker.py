"""Checks on the real loop and real threads: what is joined, remembered, bounded, fair."""

from __future__ import annotations

import hashlib
import time

import pytest

from appliance.passwords import checker as module
from appliance.passwords.checker import Check, Checker, Verdict
from appliance.passwords.formats import Entry, Kind, hash_password
from appliance.passwords.store import PasswordFile, read
from tests.passwords.turning import Turning

FAST = hash_password("secret", cost=4)
SLOW = hash_password("secret", cost=8)


def file_of(content: str) -> PasswordFile:
    return read("/f", content, hashlib.sha256(content.encode()).digest())


class Asked:
    """Checks by a checker, with every verdict in the order in which they came."""

    def __init__(self, *, threads: int = 1, backlog: int = 100, queue_limit: int = 64) -> None:
        self.turning = Turning(threads=4, backlog=backlog)
        self.time = 1000.0
        self.reports: list[str] = []
        self.checker = Checker(
            self.turning.workers,
            lambda: self.time,
            self.reports.append,
            threads=threads,
            queue_limit=queue_limit,
        )
        self.verdicts: list[tuple[str, Verdict]] = []

    def ask(
        self, file: PasswordFile, user: str, password: str, source: str = "a", label: str = ""
    ) -> Verdict | Check:
        def done(verdict: Verdict) -> None:
            self.verdicts.append((label or password, verdict))

        self.done = done
        return self.checker.check(file, user, password.encode(), source, done)

    def settle(self, number: int) -> list[tuple[str, Verdict]]:
        self.turning.until(lambda: len(self.verdicts) >= number)
        return self.verdicts


def test_right_wrong_and_unknown_user() -> None:
    asked = Asked()
    file = file_of(f"joe:{FAST}\n")
    for user, password in (("joe", "secret"), ("joe", "wrong"), ("eve", "nobody")):
        assert isinstance(asked.ask(file, user, password), Check)
    assert asked.settle(3) == [
        ("secret", Verdict.RIGHT),
        ("wrong", Verdict.WRONG),
        ("nobody", Verdict.WRONG),
    ]


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    asked = Asked()
    file = file_of(f"joe:{hash_password('secret', cost=10)}\n")
    seconds = []
    for number, user in enumerate(("joe", "eve", "joe", "eve"), 1):
        began = time.process_time()  # of all threads: how busy the machine is does not matter
        asked.ask(file, user, f"wrong{number}")
        asked.settle(number)
        seconds.append(time.process_time() - began)
    known, unknown = min(seconds[0::2]), min(seconds[1::2])
    assert 0.5 < unknown / known < 2
    assert min(known, unknown) > 0.015


def test_a_right_password_is_remembered_for_five_minutes() -> None:
    asked = Asked()
    file = file_of(f"joe:{FAST}\n")
    asked.ask(file, "joe", "secret")
    asked.settle(1)
    assert asked.ask(file, "joe", "secret") is Verdict.RIGHT
    assert asked.checker.known(file, "joe", b"secret")
    assert not asked.checker.known(file, "joe", b"wrong")
    assert not asked.checker.known(file, "jo", b"esecret")
    asked.time += module.LIFETIME
    assert not asked.checker.known(file, "joe", b"secret")
    assert isinstance(asked.ask(file, "joe", "secret"), Check)
    asked.settle(2)
    assert asked.checker.known(file, "joe", b"secret")


def test_a_changed_file_is_asked_again() -> None:
    asked = Asked()
    asked.ask(file_of(f"joe:{FAST}\n"), "joe", "secret")
    asked.settle(1)
    assert not asked.checker.known(file_of(f"joe:{FAST}\n# changed\n"), "joe", b"secret")


def test_wrong_passwords_are_not_remembered() -> None:
    asked = Asked()
    file = file_of(f"joe:{FAST}\n")
    asked.ask(file, "joe", "wrong")
    asked.settle(1)
    assert isinstance(asked.ask(file, "joe", "wrong"), Check)
    asked.settle(2)


def test_the_memory_is_bounded_and_holds_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    asked = Asked()
    file = file_of("".join(f"u{number}:word{number}\n" for number in range(5)))
    for number in range(5):
        asked.ask(file, f"u{number}", f"word{number}")
        asked.settle(number + 1)
    known = [asked.checker.known(file, f"u{number}", f"word{number}".encode()) for number in range(5)]
    assert known == [False, False, True, True, True]
    assert all(len(key) == 32 for key in asked.checker._right)


def test_equal_checks_under_way_are_one_check() -> None:
    asked = Asked()
    file = file_of(f"joe:{SLOW}\n")
    checks = [asked.ask(file, "joe", "secret", source=f"10.0.0.{number}") for number in range(50)]
    assert all(check is checks[0] for check in checks)
    assert asked.settle(50) == [("secret", Verdict.RIGHT)] * 50


def test_sources_take_turns() -> None:
    asked = Asked()
    file = file_of(f"joe:{SLOW}\n")
    for number in range(5):
        asked.ask(file, "joe", f"guess{number}", source="attacker", label=f"attacker{number}")
    asked.ask(file, "joe", "secret", source="user", label="user")
    order = [label for label, _ in asked.settle(6)]
    # One runs, one of the attacker's may be next in turn; then it is the user's.
    assert order.index("user") <= 2
    assert asked.verdicts[order.index("user")] == ("user", Verdict.RIGHT)


def test_the_queue_is_bounded_for_all_and_for_one_source() -> None:
    asked = Asked(queue_limit=40)
    file = file_of(f"joe:{FAST}\n")
    outcomes = [asked.ask(file, "joe", f"a{number}", source="a") for number in range(50)]
    assert outcomes.count(Verdict.BUSY) == 50 - 1 - module.SOURCE_LIMIT
    outcomes = [asked.ask(file, "joe", f"b{number}", source="b") for number in range(50)]
    assert outcomes.count(Verdict.BUSY) == 50 - (40 - module.SOURCE_LIMIT)
    verdicts = asked.settle(1 + 40)
    assert {verdict for _, verdict in verdicts} == {Verdict.WRONG}
    assert isinstance(asked.ask(file, "joe", "c"), Check)
    asked.settle(42)


def test_a_pool_without_room_is_busy() -> None:
    asked = Asked(backlog=-4)
    assert asked.ask(file_of(f"joe:{FAST}\n"), "joe", "secret") is Verdict.BUSY


def test_a_client_that_goes_leaves_the_queue() -> None:
    asked = Asked(queue_limit=2)
    file = file_of(f"joe:{SLOW}\n")
    asked.ask(file, "joe", "runs")
    first = asked.ask(file, "joe", "goes")
    done = asked.done
    assert isinstance(first, Check)
    assert isinstance(asked.ask(file, "joe", "stays"), Check)
    assert asked.ask(file, "joe", "more") is Verdict.BUSY
    asked.checker.cancel(first, done)
    asked.checker.cancel(first, done)
    assert isinstance(asked.ask(file, "joe", "more"), Check)
    assert [label for label, _ in asked.settle(3)] == ["runs", "stays", "more"]
    assert not asked.checker._under_way and not asked.checker._queue


def test_a_client_that_goes_while_its_check_runs_hears_nothing() -> None:
    asked = Asked()
    file = file_of(f"joe:{SLOW}\n")
    check = asked.ask(file, "joe", "goes")
    assert isinstance(check, Check)
    asked.checker.cancel(check, asked.done)
    asked.ask(file, "joe", "stays")
    assert asked.settle(1) == [("stays", Verdict.WRONG)]


def test_what_cannot_be_checked_is_reported_with_its_reason() -> None:
    asked = Asked()
    entry = Entry(Kind.SHA512, 5000, "$9$a format that no libcrypt knows")
    asked.ask(PasswordFile("/f", b"", {"joe": entry}, entry, {}, ()), "joe", "secret")
    assert asked.settle(1) == [("secret", Verdict.FAILED)]
    assert "/f" in asked.reports[0] and "'joe'" in asked.reports[0] and "libcrypt" in asked.reports[0]


def test_the_loop_turns_while_twenty_wrong_passwords_are_checked() -> None:
    """Hashing does not hold the loop up (decision 6); how little others feel of it, `make bench` measures."""
    asked = Asked()
    file = file_of(f"joe:{hash_password('secret', cost=10)}\n")
    for number in range(20):
        asked.ask(file, "joe", f"wrong{number}")
    turns = 0

    def reached() -> bool:
        nonlocal turns
        turns += 1
        return len(asked.verdicts) >= 20

    asked.turning.until(reached, 60.0)
    assert turns > 100, "a loop that waits for each hash turns some twenty times"
