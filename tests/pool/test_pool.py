"""What a pool prefers, wants, and gives back."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.config import PoolDefinition
from appliance.pool.pool import Pool, QueueFull, Returned, Slot, State


class Waiter:
    def __init__(self) -> None:
        self.slot: Slot | None = None
        self.is_expired = False

    def granted(self, slot: Slot) -> None:
        self.slot = slot

    def expired(self) -> None:
        self.is_expired = True

    def refused(self, reason: str) -> None:
        raise AssertionError("the pool leaves that to its caller")


class Site:
    """A pool with what it reported."""

    def __init__(self, **options: Any) -> None:
        options = {"command": ("/bin/app",), "min_procs": 1, "max_procs": 4, "slots": 1, **options}
        self.retired: list[str] = []
        self.released: list[Returned] = []
        self.pool = Pool(
            PoolDefinition("app", "fastcgi", **options), self.retired.append, self.released.append
        )

    def up(self, *names: str, suspect: int = 0) -> Site:
        for name in names:
            self.pool.process_up(name, f"unix:/{name}", self.pool.definition.slots, suspect, 0.0)
        return self

    def take(self, now: float = 0.0) -> Slot:
        slot = self.pool.acquire(Waiter(), now)
        assert slot is not None
        return slot

    def wait(self, now: float = 0.0) -> Waiter:
        waiter = Waiter()
        assert self.pool.acquire(waiter, now) is None
        return waiter


def test_the_least_loaded_process_then_the_one_that_worked_last() -> None:
    site = Site(slots=2).up("a", "b", "c")
    first, second, third = site.take(), site.take(), site.take()
    assert {slot.process.name for slot in (first, second, third)} == {"a", "b", "c"}
    for now, slot in ((1.0, second), (2.0, first), (3.0, third)):
        slot.connection = slot.process.name
        assert site.pool.release(slot, now, keep=True)
    assert site.take(4.0) is third
    assert site.take(4.0) is first


def test_an_open_connection_is_preferred_and_a_suspect_slot_is_the_last_resort() -> None:
    site = Site(max_procs=3).up("a", suspect=1).up("b", "c")
    kept = site.take()
    kept.connection = "open"
    site.pool.release(kept, 1.0, keep=True)
    assert site.take(2.0) is kept
    assert {kept.process.name, site.take(2.0).process.name} == {"b", "c"}
    assert site.take(2.0).process.name == "a"


def test_a_slot_whose_request_was_cut_off_is_suspect() -> None:
    site = Site().up("a", "b")
    slot = site.take()
    site.pool.abandon(slot)
    site.pool.release(slot, 1.0, keep=False, suspect=True)
    assert slot.state is State.SUSPECT
    assert site.take(2.0).process is not slot.process
    assert site.take(2.0) is slot


def test_a_suspect_slot_is_as_good_as_any_once_it_has_answered() -> None:
    site = Site().up("a", suspect=1)
    slot = site.take()
    site.pool.release(slot, 1.0, keep=False)
    assert slot.state is State.FREE


def test_a_released_slot_goes_to_the_first_in_the_queue_with_its_connection() -> None:
    site = Site().up("a")
    slot = site.take()
    first, second, third = site.wait(), site.wait(), site.wait()
    assert site.pool.leave(first)
    slot.connection = "open"
    assert site.pool.release(slot, 1.0, keep=True)
    assert (first.slot, second.slot, third.slot) == (None, slot, None)
    assert slot.connection == "open"
    assert site.pool.load == 2


@pytest.mark.holds("queue-length", "queue-timeout")
def test_the_queue_is_bounded_in_length_and_time() -> None:
    site = Site(queue_length=2, queue_timeout=60).up("a")
    site.take()
    early, late = site.wait(0.0), site.wait(30.0)
    with pytest.raises(QueueFull, match="queue-length = 2"):
        site.pool.acquire(Waiter(), 30.0)
    site.pool.expire(59.9)
    assert not early.is_expired
    site.pool.expire(60.0)
    assert (early.is_expired, late.is_expired) == (True, False)
    assert site.pool.dismiss() == [late]
    assert not late.is_expired and not site.pool.waiting


def test_no_queue_at_all() -> None:
    with pytest.raises(QueueFull):
        Site(queue_length=0).pool.acquire(Waiter(), 0.0)


def test_an_uncapped_process_takes_everything_and_keeps_nothing() -> None:
    site = Site(slots=None).up("a")
    slots = {site.take() for _ in range(100)}
    assert len(slots) == 100
    assert not any(site.pool.release(slot, 1.0, keep=True) for slot in slots)
    assert site.pool.load == 0 and not site.pool.processes["a"].kept


@pytest.mark.holds("disable-time")
def test_a_process_that_cannot_be_connected_to_rests() -> None:
    site = Site(disable_time=2, min_procs=0).up("a")
    slot = site.take()
    site.pool.fail("a", 10.0)
    waiter = site.wait(10.0)
    site.pool.release(slot, 10.0, keep=False)
    site.pool.expire(11.9)
    assert waiter.slot is None and not site.pool.usable(11.9)
    site.pool.expire(12.0)
    assert waiter.slot is slot


@pytest.mark.parametrize(
    ("slots", "waiting", "processes", "wanted"),
    [(1, 0, 0, 0), (1, 1, 0, 1), (1, 2, 0, 2), (1, 9, 0, 4), (1, 9, 2, 2), (2, 3, 0, 2), (None, 5, 0, 1)],
)
def test_wants(slots: int | None, waiting: int, processes: int, wanted: int) -> None:
    site = Site(slots=slots, min_procs=0).up(*[f"p{number}" for number in range(processes)])
    for _ in range(processes * (slots or 0)):
        site.take()
    for _ in range(waiting):
        site.wait()
    assert site.pool.wants() == wanted
    site.pool.asked(wanted)
    assert site.pool.wants() == 0
    site.pool.not_coming()
    assert site.pool.wants() == wanted


@pytest.mark.holds("max-load-per-proc")
def test_wants_without_slots_when_all_are_loaded() -> None:
    site = Site(slots=None, max_load_per_proc=1, max_procs=2).up("a")
    site.take()
    assert site.pool.wants() == 0
    site.take()
    assert site.pool.wants() == 1
    site.up("b")
    site.take(), site.take(), site.take()
    assert site.pool.wants() == 0


def test_nothing_is_wanted_of_a_host_that_is_not_ours() -> None:
    site = Site(command=(), slots=1).up("remote")
    site.take(), site.wait()
    assert site.pool.wants() == 0 and site.pool.idle(1e6) == []


def test_min_procs_are_on_their_way_from_the_start() -> None:
    site = Site(min_procs=2)
    site.wait(), site.wait()
    assert site.pool.wants() == 0
    site.wait()
    assert site.pool.wants() == 1


def test_a_dead_process_is_replaced_without_being_asked() -> None:
    site = Site(min_procs=1).up("a")
    slot = site.take()
    site.wait()
    assert site.pool.process_gone("a") == [slot]
    assert site.pool.wants() == 0 and site.pool.usable(0.0)
    site.up("a")
    assert not site.pool.release(slot, 1.0, keep=True)
    assert site.pool.processes["a"].load == 1


@pytest.mark.holds("idle-timeout")
def test_idle_processes_are_named_once_per_idle_timeout() -> None:
    site = Site(min_procs=1, idle_timeout=60).up("a", "b", "c")
    slot = site.take(50.0)
    site.pool.release(slot, 55.0, keep=False)
    others = [name for name in "abc" if name != slot.process.name]
    assert site.pool.idle(59.0) == []
    assert site.pool.idle(60.0) == others
    assert site.pool.idle(61.0) == []
    assert site.pool.idle(120.0) == others
    for name in others:
        site.pool.retire(name)
    assert site.retired == others and site.pool.idle(1000.0) == []


def test_a_retiring_process_finishes_its_request() -> None:
    site = Site(slots=2).up("a")
    busy, idle = site.take(), site.take()
    idle.connection = "open"
    site.pool.release(idle, 1.0, keep=True)
    assert site.pool.retire("a") == [idle] and site.retired == []
    waiter = site.wait(2.0)
    assert not site.pool.release(busy, 3.0, keep=True)
    assert site.retired == ["a"] and waiter.slot is None


def test_a_leaving_front_gives_back_what_it_does_not_need() -> None:
    site = Site(slots=3).up("a", suspect=1)
    busy, kept = site.take(), site.take()
    kept.connection = "open"
    site.pool.release(kept, 1.0, keep=True)
    assert site.pool.drain() == [Returned("a", 2, ["open"])]
    waiter = site.wait(2.0)
    site.pool.abandon(busy)
    busy.connection = "busy"
    assert site.pool.release(busy, 3.0, keep=True)
    assert waiter.slot is busy and site.released == []
    assert not site.pool.release(busy, 4.0, keep=True)
    assert site.released == [Returned("a", 1, [])]
    site.pool.lease("a", 2, 0, 5.0)
    assert site.released[1:] == [Returned("a", 2, [])]


def test_a_leaving_front_spares_slots_for_requests_on_their_way_in() -> None:
    site = Site(slots=2).up("a", "b")
    assert sum(returned.slots for returned in site.pool.drain(spare=1)) == 3
    slot = site.take()
    assert not site.pool.release(slot, 1.0, keep=True) and site.released == []
    assert site.pool.drain(spare=0) == [Returned(slot.process.name, 1, [])]
