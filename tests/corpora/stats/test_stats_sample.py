"""Which pairs are looked at."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sightword.corpora.stats.sample import FEW_SHARDS, distinct, sample


@given(st.integers(0, 300), st.data())
def test_distinct_numbers_in_order(total: int, data: st.DataObject) -> None:
    most, seed = data.draw(st.integers(0, total)), data.draw(st.integers(0, 99))
    found = distinct(total, most, seed)
    assert len(found) == most
    assert sorted(set(found.tolist())) == found.tolist()
    assert not most or 0 <= found[0] <= found[-1] < total
    assert found.tolist() == distinct(total, most, seed).tolist()


def test_every_number_is_as_likely() -> None:
    for most in (3, 9):  # below and above half
        times = np.bincount(np.concatenate([distinct(12, most, seed) for seed in range(2000)]), minlength=12)
        expected = 2000 * most / 12
        assert np.abs(times - expected).max() < 5 * np.sqrt(expected)


def test_a_sample_of_billions_needs_no_memory_for_them() -> None:
    found = distinct(1_400_000_000, 1000, 3)
    assert len(set(found.tolist())) == 1000
    assert found.max() > 1_000_000_000


def test_all_where_there_are_few_or_all_are_asked_for() -> None:
    assert sample([3, 4], [0, 0], 7, 0).tolist() == list(range(7))
    assert sample([3, 4], [0, 0], 0, 0).tolist() == list(range(7))
    assert len(sample([3, 4], [0, 0], 5, 0)) == 5


def test_remote_pairs_come_from_a_few_whole_shards() -> None:
    counts = [10] * 100
    found = sample(counts, [5] * 100, 60, 1)
    assert len(found) == 60
    assert len(set((found // 10).tolist())) <= FEW_SHARDS
    assert set((sample(counts, [5] * 100, 60, 2) // 10).tolist()) != set((found // 10).tolist())
