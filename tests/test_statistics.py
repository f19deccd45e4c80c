from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sightword import statistics


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    interval = statistics.wilson(successes, n)
    assert interval.value == successes / n
    assert interval.low == pytest.approx(low, abs=6e-5)
    assert interval.high == pytest.approx(high, abs=6e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_value_and_mirrors(case: tuple[int, int]) -> None:
    successes, n = case
    interval, mirror = statistics.wilson(successes, n), statistics.wilson(n - successes, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirror.high, abs=1e-12)
    assert interval.low < interval.high


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        statistics.wilson(successes, n)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_bootstrap_agrees_with_scipy(method: str) -> None:
    values = np.random.default_rng(3).exponential(size=40)
    ours = statistics.bootstrap_mean(values, method=method.lower(), resamples=40_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, method=method, rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_bca_leans_to_the_long_tail() -> None:
    values = np.random.default_rng(3).exponential(size=40)
    plain = statistics.bootstrap_mean(values, method="percentile")
    bca = statistics.bootstrap_mean(values)
    assert bca.low > plain.low
    assert bca.high > plain.high


def test_equal_seeds_equal_intervals_and_order_does_not_matter() -> None:
    values = np.random.default_rng(0).random(100)
    assert statistics.bootstrap_mean(values) == statistics.bootstrap_mean(values)
    assert statistics.bootstrap_mean(values).low == statistics.bootstrap_mean(values[::-1].copy()).low
    assert statistics.bootstrap_mean(values) != statistics.bootstrap_mean(values, seed=1)


def test_clusters_of_copies_are_worth_one_example_each() -> None:
    right = np.random.default_rng(0).random(200) < 0.4
    alone = statistics.bootstrap_mean(right)
    copied = statistics.bootstrap_mean(np.repeat(right, 5), clusters=np.repeat(np.arange(200), 5))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    careless = statistics.bootstrap_mean(np.repeat(right, 5))
    assert careless.high - careless.low < 0.6 * (alone.high - alone.low)


def _covered(draw, truth: float, trials: int = 400) -> float:
    """The share of trials whose interval holds the truth."""
    hits = [interval.low <= truth <= interval.high for interval in map(draw, range(trials))]
    return float(np.mean(hits))


def test_wilson_and_bootstrap_cover_a_proportion() -> None:
    def answers(trial: int) -> np.ndarray:
        return np.random.default_rng(trial).random(120) < 0.3

    wilson = _covered(lambda t: statistics.wilson(int(answers(t).sum()), 120), 0.3, 1000)
    bca = _covered(lambda t: statistics.bootstrap_mean(answers(t), resamples=1000), 0.3)
    assert 0.93 <= wilson <= 0.97
    assert 0.92 <= bca <= 0.98


def test_clustered_interval_covers_where_the_careless_one_does_not() -> None:
    def answers(trial: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(trial)
        sizes = generator.integers(1, 8, size=80)
        chance = np.repeat(generator.beta(0.5, 0.5, size=80), sizes)  # pictures of one concept err together
        return generator.random(len(chance)) < chance, np.repeat(np.arange(80), sizes)

    def clustered(trial: int) -> statistics.Interval:
        right, cluster = answers(trial)
        return statistics.bootstrap_mean(right, clusters=cluster, resamples=1000)

    assert 0.91 <= _covered(clustered, 0.5) <= 0.98
    assert _covered(lambda t: statistics.bootstrap_mean(answers(t)[0], resamples=1000), 0.5) < 0.85


def test_class_mean_covers_the_mean_over_classes() -> None:
    shares, chances = np.array([0.6, 0.3, 0.1]), np.array([0.9, 0.5, 0.2])

    def draw(trial: int) -> statistics.Interval:
        generator = np.random.default_rng(trial)
        labels = generator.choice(3, size=300, p=shares)
        return statistics.bootstrap_class_mean(
            generator.random(300) < chances[labels], labels, resamples=1000
        )

    assert 0.93 <= _covered(draw, chances.mean()) <= 1.0


def test_class_mean_of_single_examples_is_the_plain_mean() -> None:
    right = np.random.default_rng(0).random(150) < 0.5
    by_class = statistics.bootstrap_class_mean(right, np.arange(150))
    plain = statistics.bootstrap_mean(right)
    assert (by_class.low, by_class.high) == pytest.approx((plain.low, plain.high))


def test_class_mean_counts_classes_alike() -> None:
    right = np.array([True, True, True, True, False])
    assert statistics.bootstrap_class_mean(right, np.array([0, 0, 0, 0, 7])).value == pytest.approx(0.5)


def test_paired_difference_is_narrower_than_the_unpaired_one_and_covers() -> None:
    def draw(trial: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(trial)
        hardness, luck = generator.random(300), 0.15 * generator.standard_normal((2, 300))
        return hardness + luck[0] < 0.4, hardness + luck[1] < 0.4  # the truth: no difference

    first, second = draw(0)
    paired = statistics.paired_difference(first, second)
    alone = statistics.bootstrap_mean(first)
    assert paired.high - paired.low < 0.9 * (alone.high - alone.low)
    assert paired.value == pytest.approx(second.mean() - first.mean())
    covered = _covered(lambda t: statistics.paired_difference(*draw(t), resamples=1000), 0.0)
    assert 0.92 <= covered <= 0.98


def test_mcnemar_by_hand() -> None:
    first = np.array([True] * 9 + [False] * 1 + [True] * 50)
    second = np.array([False] * 9 + [True] * 1 + [True] * 50)
    # 9 against 1: twice the chance of at most one head in ten tosses, 2 * (1 + 10) / 1024.
    assert statistics.mcnemar(first, second) == pytest.approx(0.021484375)
    assert statistics.mcnemar(second, first) == pytest.approx(0.021484375)
    assert statistics.mcnemar(first, first) == 1.0


def test_holm_as_r_p_adjust() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([]) == []


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        statistics.bootstrap_mean(np.array([], dtype=np.float64))
