"""Every target with Hypothesis: well-formed beginnings, words of the language, garbage, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import SEEDS, WORDS
from tests.fuzz.targets import TARGETS, Target

CUTS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def texts(name: str) -> st.SearchStrategy[bytes]:
    seeds = st.sampled_from(SEEDS[name])
    slices = st.tuples(seeds, st.integers(0, 80), st.integers(0, 80)).map(lambda t: t[0][t[1] : t[1] + t[2]])
    part = st.one_of(st.sampled_from(WORDS), slices, seeds, st.binary(max_size=12))
    return st.lists(part, max_size=12).map(b"".join)


@pytest.mark.parametrize(("name", "target"), TARGETS.items(), ids=TARGETS)
def test_any_octets_in_any_pieces(name: str, target: Target) -> None:
    @settings(max_examples=100, deadline=None)
    @given(texts(name), CUTS)
    def holds(data: bytes, cuts: list[int]) -> None:
        target(data, cuts)

    holds()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_well_formed_in_every_two_pieces(name: str) -> None:
    for data in SEEDS[name]:
        for cut in range(1, len(data)):
            TARGETS[name](data, [cut, len(data)])
