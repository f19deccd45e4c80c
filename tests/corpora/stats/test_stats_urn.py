"""Chances against counting every draw there is."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightword.corpora.stats.urn import growth, missed, shared_captions

FREQUENCIES = st.lists(st.integers(1, 4), min_size=1, max_size=5).filter(lambda found: sum(found) <= 10)


@given(st.integers(1, 60), st.data())
def test_a_chance_to_be_missed_is_a_ratio_of_binomials(total: int, data: st.DataObject) -> None:
    drawn, copies = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    found = missed(total, drawn, np.array([copies], dtype=np.int64))[0]
    assert found == pytest.approx(comb(total - copies, drawn) / comb(total, drawn), abs=1e-12)


def test_small_chances_of_large_corpora_are_not_lost_in_rounding() -> None:
    found = 1 - missed(1_000_000_000, 4095, np.array([1, 2], dtype=np.int64))
    assert found[0] == pytest.approx(4095 / 1e9, rel=1e-9)
    assert found[1] == pytest.approx(2 * 4095 / 1e9, rel=1e-5)


def test_more_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="11 drawn"):
        missed(10, 11, np.array([1], dtype=np.int64))


@given(FREQUENCIES, st.integers(2, 6))
def test_shared_captions_are_means_over_every_batch(frequencies: list[int], batch: int) -> None:
    corpus = [caption for caption, times in enumerate(frequencies) for _ in range(times)]
    batches = list(combinations(corpus, min(batch, len(corpus))))
    sharing = [sum(one.count(caption) > 1 for caption in one) for one in batches]
    wrong = [sum(one.count(caption) - 1 for caption in one) for one in batches]
    found = shared_captions(np.array(frequencies, dtype=np.int64), batch)
    assert found.pairs == pytest.approx(np.mean(sharing), abs=1e-9)
    assert found.false_negatives == pytest.approx(np.mean(wrong), abs=1e-9)


@given(FREQUENCIES)
def test_growth_is_the_mean_over_every_draw(frequencies: list[int]) -> None:
    corpus = [thing for thing, times in enumerate(frequencies) for _ in range(times)]
    curve = growth(np.array(frequencies, dtype=np.int64))
    for drawn, distinct in zip(curve.xs, curve.ys, strict=True):
        expected = np.mean([len(set(one)) for one in combinations(corpus, int(drawn))])
        assert distinct == pytest.approx(expected, abs=1e-9)


def test_a_random_sample_tells_of_the_whole_without_bias() -> None:
    """What the docstring claims: the mean over all samples of a corpus is the corpus's own number."""
    corpus = [0, 0, 0, 1, 1, 2, 3, 4]
    whole = shared_captions(np.unique(corpus, return_counts=True)[1].astype(np.int64), 3)
    parts = [
        shared_captions(np.unique(part, return_counts=True)[1].astype(np.int64), 3).share
        for part in combinations(corpus, 5)
    ]
    assert np.mean(parts) == pytest.approx(whole.share, abs=1e-12)
