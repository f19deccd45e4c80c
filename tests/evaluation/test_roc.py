from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from sightword.evaluation.roc import area, area_difference, area_interval, newcombe


def draw(seed: int, n: int = 60, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.4
    scores = generator.standard_normal(n) + positive
    return (np.round(scores) if ties else scores), positive


@given(st.integers(2, 40), st.integers(0, 10**6), st.booleans())
def test_the_area_is_scikit_learns(n: int, seed: int, ties: bool) -> None:
    scores, positive = draw(seed, n, ties)
    assume(0 < positive.sum() < n)
    assert area(scores, positive).value == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_infinite_scores_are_the_largest() -> None:
    scores, positive = np.array([np.inf, 1.0, -np.inf, np.inf]), np.array([True, True, False, False])
    assert area(scores, positive).value == roc_auc_score(positive, [9, 1, -9, 9])


def test_one_class_alone_has_no_area() -> None:
    with pytest.raises(ValueError, match="found 3 and 0"):
        area(np.arange(3.0), np.ones(3, dtype=np.bool_))


def naive_delong(scores: np.ndarray, positive: np.ndarray) -> float:
    """DeLong's variance with every pair looked at."""
    up, down = scores[positive], scores[~positive]
    kernel = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    return float(np.var(kernel.mean(1), ddof=1) / len(up) + np.var(kernel.mean(0), ddof=1) / len(down))


@pytest.mark.parametrize("ties", [False, True])
def test_influences_are_delongs_variance(ties: bool) -> None:
    for seed in range(20):
        scores, positive = draw(seed, ties=ties)
        found = area(scores, positive)
        assert (found.influences**2).sum() == pytest.approx(naive_delong(scores, positive))


def test_the_interval_is_near_the_bootstraps() -> None:
    scores, positive = draw(1, 300)
    interval, name = area_interval(area(scores, positive))
    assert name == "delong"
    rows = np.arange(300)
    drawn = bootstrap(
        (rows,), lambda some: roc_auc_score(positive[some], scores[some]), vectorized=False,
        n_resamples=300, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert (interval.low, interval.high) == pytest.approx((drawn.low, drawn.high), abs=0.015)


def truth() -> float:
    """Of `draw`: two unit normals one apart, P(N(1, 2) > 0)."""
    from scipy.stats import norm

    return float(norm.cdf(1 / np.sqrt(2)))


def test_intervals_hold_the_truth() -> None:
    def covered(repeats: int, careful: bool) -> float:
        held = 0
        for seed in range(400):
            scores, positive = (np.repeat(part, repeats) for part in draw(seed))
            names = np.repeat(np.arange(60), repeats) if careful else None
            interval, _ = area_interval(area(scores, positive, names), names)
            held += interval.low <= truth() <= interval.high
        return held / 400

    assert 0.92 <= covered(1, False) <= 0.98
    assert 0.92 <= covered(4, True) <= 0.98  # copies of one example are one example
    assert covered(4, False) < 0.8


def test_clusters_of_copies_are_worth_one_example_each() -> None:
    scores, positive = draw(5)
    names = np.repeat(np.arange(60), 3)
    copied = area_interval(area(np.repeat(scores, 3), np.repeat(positive, 3), names), names)
    alone = area_interval(area(scores, positive))
    assert copied[1] == "delong over clusters"
    assert (copied[0].low, copied[0].high) == pytest.approx((alone[0].low, alone[0].high))


def test_no_spread_is_not_certainty() -> None:
    positive = np.arange(30) < 10
    perfect, name = area_interval(area(positive.astype(np.float64), positive))
    assert (perfect.value, perfect.high, name) == (1.0, 1.0, "newcombe")
    assert 0.8 < perfect.low < 0.99
    flat, name = area_interval(area(np.zeros(30), positive))
    assert (flat.value, name) == (0.5, "newcombe")
    assert 0.25 < flat.low < 0.4
    assert flat.low == pytest.approx(1 - flat.high)
    few, name = area_interval(area(np.arange(30.0), np.arange(30) == 20))
    assert name == "newcombe"
    assert few.low < 0.4 < few.value < few.high


def test_newcombe_ends_lie_1_96_errors_away() -> None:
    """His variance written out as Hanley and McNeil (1982) give it, both counts replaced by their mean."""
    for value, up, down in [(0.7, 20, 35), (0.05, 9, 9), (0.99, 50, 4)]:
        interval = newcombe(value, up, down)
        for x in (interval.low, interval.high):
            most = (up + down) / 2 - 1
            q1, q2 = x / (2 - x), 2 * x**2 / (1 + x)
            spread = (x * (1 - x) + most * (q1 - x**2) + most * (q2 - x**2)) / (up * down)
            assert abs(value - x) == pytest.approx(1.959964 * np.sqrt(spread), rel=1e-4)


def test_differences_are_paired() -> None:
    def rejected(gap: float, paired: bool) -> float:
        hits = 0
        for seed in range(300):
            generator = np.random.default_rng(seed)
            positive = generator.random(80) < 0.5
            shared, own = generator.standard_normal(80), 0.4 * generator.standard_normal((2, 80))
            first, second = shared + own[0] + 0.8 * positive, shared + own[1] + (0.8 + gap) * positive
            one, other = area(first, positive), area(second, positive)
            value, _, p = area_difference(one, other)
            assert value == other.value - one.value
            alone = np.hypot(*(np.sqrt((each.influences**2).sum()) for each in (one, other)))
            hits += p < 0.05 if paired else abs(value) > 1.96 * alone
        return hits / 300

    assert 0.02 <= rejected(0.0, True) <= 0.08
    assert rejected(0.4, True) > 2 * rejected(0.4, False)


def test_equal_and_opposite_answers() -> None:
    positive = np.arange(20) < 8
    up, down = area(positive * 1.0, positive), area(~positive * 1.0, positive)
    assert area_difference(up, up) == (0.0, 0.0, 1.0)
    value, error, p = area_difference(up, down)
    assert value == -1.0
    assert 0 < error < 0.3
    assert p < 0.001
