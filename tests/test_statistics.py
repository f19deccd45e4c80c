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


def _class_interval(right: np.ndarray, labels: np.ndarray, clusters=None) -> statistics.Interval:
    value, influences = statistics.class_mean(right, labels, clusters)
    return statistics.share_interval(value, statistics.standard_error(influences, clusters), len(right))


@pytest.mark.parametrize("each", [2, 6, 30])
def test_class_mean_covers_the_mean_over_given_classes(each: int) -> None:
    chances = np.random.default_rng(0).beta(0.5, 0.5, size=30)  # some classes are easy, some hopeless
    labels = np.repeat(np.arange(30), each)

    def draw(trial: int) -> statistics.Interval:
        return _class_interval(np.random.default_rng(trial).random(len(labels)) < chances[labels], labels)

    assert 0.92 <= _covered(draw, chances.mean(), 500) <= 0.98


def test_class_mean_covers_where_whole_clusters_err() -> None:
    chances = np.repeat([0.9, 0.5, 0.2], 25)  # of three classes, 25 clusters each, of four pictures
    labels, clusters = np.repeat(np.arange(3), 100), np.repeat(np.arange(75), 4)

    def answers(trial: int) -> np.ndarray:
        return np.repeat(np.random.default_rng(trial).random(75) < chances, 4)

    assert 0.92 <= _covered(lambda t: _class_interval(answers(t), labels, clusters), chances.mean()) <= 0.98
    assert _covered(lambda t: _class_interval(answers(t), labels), chances.mean()) < 0.8


def test_class_mean_of_single_examples_is_the_plain_mean() -> None:
    right = np.random.default_rng(0).random(150) < 0.5
    by_class = _class_interval(right, np.arange(150))
    plain = statistics.wilson(int(right.sum()), 150)
    assert (by_class.low, by_class.high) == pytest.approx((plain.low, plain.high))


def test_class_mean_counts_classes_alike() -> None:
    right = np.array([True, True, True, True, False])
    value, influences = statistics.class_mean(right, np.array([0, 0, 0, 0, 7]))
    assert value == 0.5
    # The class of one example stands apart from the mean by a half, and there are two classes.
    assert influences.tolist() == [0, 0, 0, 0, -0.25]


def test_a_class_that_is_one_cluster_has_no_spread_of_its_own() -> None:
    right = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    alone = statistics.class_mean(right, np.array([0, 0, 1, 1, 2, 2]), np.array(list("aabbcc")))
    assert alone[0] == 0.5
    sums = np.bincount([0, 0, 1, 1, 2, 2], alone[1])
    np.testing.assert_allclose(sums, [0.5 / 3, -0.5 / 3, 0.0], atol=1e-12)


def test_no_error_seen_is_not_certainty() -> None:
    assert statistics.share_interval(1.0, 0.0, 20) == statistics.wilson(20, 20)
    assert statistics.share_interval(0.5, 0.0, 20) == statistics.wilson(10, 20)


def test_share_interval_is_wilsons_for_a_plain_share() -> None:
    error = np.sqrt(0.3 * 0.7 / 50)
    found, plain = statistics.share_interval(0.3, error, 1), statistics.wilson(15, 50)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_sign_flips_are_mcnemar_for_right_or_wrong() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random(80) < 0.5, generator.random(80) < 0.65
    exact = statistics.mcnemar(first, second)
    drawn = statistics.sign_flips(second.astype(np.float64) - first)
    assert 0.01 < exact < 0.9
    assert drawn == pytest.approx(exact, rel=0.03)
    assert statistics.sign_flips(np.zeros(9)) == 1.0


def test_sign_flips_count_every_flip_of_a_few() -> None:
    values = np.array([0.5, 1.0, 1.5, 2.0, -0.25])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T
    exact = np.mean(np.abs(signs @ values) >= values.sum() - 1e-9)
    assert statistics.sign_flips(values) == pytest.approx(exact, rel=0.02)


def test_sign_flips_turn_whole_clusters() -> None:
    values = np.repeat(np.random.default_rng(3).standard_normal(12) + 0.6, 10)
    names = np.repeat(np.arange(12), 10)
    sums = statistics.sign_flips(10 * values[::10])
    assert statistics.sign_flips(values, names) == pytest.approx(sums)
    assert statistics.sign_flips(values) < sums / 3


def test_sign_flips_reject_one_in_twenty() -> None:
    def p(trial: int) -> float:
        generator = np.random.default_rng(trial)
        return statistics.sign_flips(generator.choice([-1.0, -0.5, 0.0, 0.5, 1.0], 60), draws=999)

    assert 0.03 <= np.mean([p(trial) < 0.05 for trial in range(600)]) <= 0.07


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
