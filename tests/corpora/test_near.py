"""The search finds what comparing each with each finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightword.corpora.near import near_pairs


def naive(hashes: list[int], most: int) -> list[list[int]]:
    return [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (hashes[i] ^ hashes[j]).bit_count() <= most
    ]


def family(seed: int, size: int) -> list[int]:
    """Random hashes, and copies of them with up to five bits turned."""
    rng = np.random.default_rng(seed)
    hashes = [int(number) for number in rng.integers(0, 2**63, size)]
    for _ in range(2 * size):
        number = hashes[rng.integers(len(hashes))]
        for bit in rng.choice(64, rng.integers(0, 6), replace=False):
            number ^= 1 << int(bit)
        hashes.append(number)
    return hashes


@pytest.mark.parametrize("most", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_as_comparing_each_with_each(seed: int, most: int) -> None:
    hashes = family(seed, 60)
    pairs, crowded = near_pairs(np.array(hashes, dtype=np.uint64), most)
    assert pairs.tolist() == naive(hashes, most)
    assert crowded == 0
    assert len(pairs)


@given(st.sets(st.integers(0, 63), min_size=0, max_size=5), st.integers(0, 2**64 - 1))
@settings(deadline=None, max_examples=50)
def test_wherever_the_bits_lie(bits: set[int], number: int) -> None:
    other = number
    for bit in bits:
        other ^= 1 << bit
    pairs, _ = near_pairs(np.array([number, other], dtype=np.uint64), 3)
    assert (len(pairs) == 1) == (len(bits) <= 3)


@pytest.mark.parametrize("count", [0, 1])
def test_of_less_than_two_there_is_no_pair(count: int) -> None:
    pairs, crowded = near_pairs(np.zeros(count, dtype=np.uint64))
    assert (len(pairs), crowded) == (0, 0)


def test_a_crowd_of_equals_is_cut_short_and_counted() -> None:
    pairs, crowded = near_pairs(np.full(200, 7, dtype=np.uint64))
    assert crowded == 200 - 128
    assert len(set(pairs.ravel().tolist())) == 200  # each still has a neighbour
