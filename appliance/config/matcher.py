"""Which settings apply to a request: conditions are tried once, merged results kept.

Equality, prefix and suffix tests are found by lookup, whatever their number: for each field a table by
value and one for each length of prefix. What remains (expressions, networks) is tried only where the
result can matter. The set of tests that hold is a number, and that number leads to the merged settings;
without conditions there is nothing to do.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from appliance.config.condition import Condition, Network, Subject, Test, reader
from appliance.config.settings import Settings

__all__ = ["Block", "Matcher", "Subject"]

# Distinct combinations of conditions kept; sites have a handful. Beyond it the tables start afresh.
_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """A condition block, checked: `parent` and `previous` are indexes of blocks before it, -1 for none."""

    condition: Condition | None
    parent: int
    previous: int
    values: dict[str, Any]


class Matcher:
    """Finds the settings of a request. Not for several threads at once."""

    def __init__(self, settings: Settings, values: dict[str, Any], blocks: tuple[Block, ...]) -> None:
        self._outermost = settings
        self._values = values
        self._blocks = blocks
        tests = dict.fromkeys(block.condition.test for block in blocks if block.condition is not None)
        guards = [Test(test.field, "prefix", test.guard) for test in tests if test.guard]
        self._bits = {test: 1 << number for number, test in enumerate(dict.fromkeys([*tests, *guards]))}
        self._lookups = _lookups(self._bits)
        self._settings: dict[int, Settings] = {}
        self._remaining: dict[int, tuple[_Trial, ...]] = {}
        self._merged: dict[tuple[int, ...], Settings] = {(): settings}

    def settings_for(self, subject: Subject) -> Settings:
        """The settings that apply; the same object each time the same blocks do."""
        if not self._blocks:
            return self._outermost
        held = 0
        for lookup in self._lookups:
            held |= lookup(subject)
        remaining = self._remaining.get(held)
        if remaining is None:
            remaining = self._undecided(held)
        for bit, holds in remaining:
            if holds(subject):
                held |= bit
        found = self._settings.get(held)
        return found if found is not None else self._merge(held)

    def holding(self, subject: Subject) -> tuple[Block, ...]:
        """The blocks whose conditions hold, in the order of the text; not for every request, for a person."""
        held = 0
        for lookup in self._lookups:
            held |= lookup(subject)
        states = self._states(
            lambda test: bool(held & self._bits[test]) if test.kind in _LOOKED_UP else _trial(test)(subject)
        )
        return tuple(block for block, (_, holds) in zip(self._blocks, states, strict=True) if holds)

    def _undecided(self, held: int) -> tuple[_Trial, ...]:
        """The tests without lookup that can still matter when these bits are set, in the text's order."""

        def decide(test: Test) -> bool | None:
            if test.kind in _LOOKED_UP:
                return bool(held & self._bits[test])
            if test.guard and not held & self._bits[Test(test.field, "prefix", test.guard)]:
                return False
            return None

        needed: dict[Test, None] = {}
        for block, (reached, _) in zip(self._blocks, self._states(decide), strict=True):
            if reached is not False and block.condition is not None:
                test = block.condition.test
                if decide(test) is None:
                    needed[test] = None
        if len(self._remaining) >= _MOST_KEPT:
            self._remaining.clear()
        trials = tuple((self._bits[test], _trial(test)) for test in needed)
        self._remaining[held] = trials
        return trials

    def _merge(self, held: int) -> Settings:
        """The settings when these tests hold: of all blocks that apply, the later ones over the earlier."""
        states = self._states(lambda test: bool(held & self._bits[test]))
        applying = tuple(
            number for number, (_, holds) in enumerate(states) if holds and self._blocks[number].values
        )
        settings = self._merged.get(applying)
        if settings is None:
            if len(self._merged) >= _MOST_KEPT:
                self._merged = {(): self._outermost}
                self._settings.clear()
            settings = self._merged[applying] = self._combined(applying)
        if len(self._settings) >= _MOST_KEPT:
            self._settings.clear()
        self._settings[held] = settings
        return settings

    def _combined(self, applying: tuple[int, ...]) -> Settings:
        values = dict(self._values)
        for number in applying:
            values.update(self._blocks[number].values)
        return Settings(values)

    def _states(self, decide: Callable[[Test], bool | None]) -> list[tuple[bool | None, bool | None]]:
        """For each block, whether it is reached and whether it holds; None where `decide` cannot tell."""
        states: list[tuple[bool | None, bool | None]] = []
        taken: list[bool | None] = []  # whether a block or a branch before it was chosen
        for block in self._blocks:
            around = states[block.parent][1] if block.parent >= 0 else True
            before = taken[block.previous] if block.previous >= 0 else False
            reached = _and(around, _not(before))
            condition = block.condition
            chosen: bool | None = True
            if condition is not None:
                decided = decide(condition.test)
                chosen = _not(decided) if condition.negated else decided
            states.append((reached, _and(reached, chosen)))
            taken.append(_not(_and(_not(before), _not(chosen))))
        return states


_Trial: TypeAlias = "tuple[int, Callable[[Subject], bool]]"


def _and(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _lookups(bits: dict[Test, int]) -> list[Callable[[Subject], int]]:
    """For each field and kind of lookup one function from a request to the bits of the tests that hold."""
    tables: dict[tuple[str, str], dict[str, int]] = {}
    for test, bit in bits.items():
        if test.kind in _LOOKED_UP:
            table = tables.setdefault((test.field, test.kind), {})
            table[str(test.value)] = bit
    return [_LOOKED_UP[kind](reader(field), table) for (field, kind), table in tables.items()]


def _equality(read: Callable[[Subject], str], table: dict[str, int]) -> Callable[[Subject], int]:
    def lookup(subject: Subject) -> int:
        return table.get(read(subject), 0)

    return lookup


def _prefixes(read: Callable[[Subject], str], table: dict[str, int]) -> Callable[[Subject], int]:
    lengths = sorted({len(prefix) for prefix in table})

    def lookup(subject: Subject) -> int:
        text, held = read(subject), 0
        for length in lengths:
            if length > len(text):
                break
            held |= table.get(text[:length], 0)
        return held

    return lookup


def _suffixes(read: Callable[[Subject], str], table: dict[str, int]) -> Callable[[Subject], int]:
    lengths = sorted({len(suffix) for suffix in table})

    def lookup(subject: Subject) -> int:
        text, held = read(subject), 0
        for length in lengths:
            if length > len(text):
                break
            held |= table.get(text[len(text) - length :], 0)
        return held

    return lookup


_LOOKED_UP: dict[str, Callable[[Callable[[Subject], str], dict[str, int]], Callable[[Subject], int]]] = {
    "equal": _equality,
    "prefix": _prefixes,
    "suffix": _suffixes,
}


def _trial(test: Test) -> Callable[[Subject], bool]:
    read, value = reader(test.field), test.value
    if isinstance(value, re.Pattern):
        return lambda subject: value.search(read(subject)) is not None
    if isinstance(value, str):
        raise TypeError(f"{test} is found by lookup")
    return lambda subject: _inside(read(subject), value)


def _inside(text: str, network: Network) -> bool:
    address = _address(text)
    return address is not None and address in network


@functools.lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address of a client; one that came to an IPv6 socket over IPv4 counts as IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
