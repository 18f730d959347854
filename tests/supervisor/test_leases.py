"""The ledger of slots: none is lost, none is held twice."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.supervisor.leases import Grant, Leases


def test_a_reload_hands_slots_on_one_by_one() -> None:
    leases = Leases()
    assert leases.open(1) == []
    assert leases.add("php-0", 4) == Grant("php-0", 4, 0)
    assert leases.open(2) == [Grant("php-0", 0, 0)]
    assert leases.release(1, "php-0", 3) == Grant("php-0", 3, 0)
    assert leases.release(1, "php-0", 5) == Grant("php-0", 1, 0), "no more than it held"
    assert leases.close(1, clean=True) == []
    assert leases.holders("php-0") == {2: 4}


def test_a_crash_makes_slots_suspect() -> None:
    leases = Leases()
    leases.open(1)
    leases.add("php-0", 4)
    leases.release(1, "php-0", 1)
    assert leases.close(1, clean=False) == []
    assert leases.open(2) == [Grant("php-0", 4, 3)]


def test_a_draining_front_that_crashes_leaves_suspects_to_the_new_one() -> None:
    leases = Leases()
    leases.open(1)
    leases.add("php-0", 2)
    leases.open(2)
    assert leases.close(1, clean=False) == [Grant("php-0", 2, 2)]


def test_unknown_capacity_is_not_counted() -> None:
    leases = Leases()
    leases.open(1)
    assert leases.add("rt-0", None) == Grant("rt-0", None, 0)
    assert leases.open(2) == [Grant("rt-0", None, 0)]
    assert leases.release(1, "rt-0", 1) is None


class Ledger(RuleBasedStateMachine):
    """Fronts come and go, processes too; what the fronts were told must add up to what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases()
        self.generation = 0
        self.living: list[int] = []
        self.totals: dict[str, int] = {}
        self.held: dict[tuple[int, str], int] = {}
        self.serial = 0

    def granted(self, grants: list[Grant]) -> None:
        for grant in grants:
            assert grant.slots is not None and 0 <= grant.suspect <= grant.slots
            key = (self.living[-1], grant.process)
            self.held[key] = self.held.get(key, 0) + grant.slots

    @rule()
    def front_starts(self) -> None:
        self.generation += 1
        self.living.append(self.generation)
        self.granted(self.leases.open(self.generation))

    @precondition(lambda self: self.living)
    @rule(index=st.integers(0, 9), clean=st.booleans())
    def front_ends(self, index: int, clean: bool) -> None:
        generation = self.living.pop(index % len(self.living))
        self.held = {key: slots for key, slots in self.held.items() if key[0] != generation}
        self.granted(self.leases.close(generation, clean=clean))

    @rule(slots=st.integers(1, 5))
    def process_starts(self, slots: int) -> None:
        name = f"p-{self.serial}"
        self.serial += 1
        self.totals[name] = slots
        grant = self.leases.add(name, slots)
        self.granted([grant] if grant else [])

    @precondition(lambda self: self.totals)
    @rule(index=st.integers(0, 9))
    def process_ends(self, index: int) -> None:
        name = sorted(self.totals)[index % len(self.totals)]
        del self.totals[name]
        self.held = {key: slots for key, slots in self.held.items() if key[1] != name}
        self.leases.remove(name)

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, 9), slots=st.integers(0, 5))
    def front_releases(self, index: int, slots: int) -> None:
        key = sorted(self.held)[index % len(self.held)]
        self.held[key] -= min(slots, self.held[key])
        grant = self.leases.release(*key, slots)
        self.granted([grant] if grant else [])

    @invariant()
    def nothing_is_held_twice(self) -> None:
        for name, total in self.totals.items():
            told = {g: n for (g, process), n in self.held.items() if process == name and n}
            assert told == self.leases.holders(name)
            assert sum(told.values()) <= total


Ledger.TestCase.settings = settings(max_examples=60, deadline=None)
TestLedger = Ledger.TestCase
