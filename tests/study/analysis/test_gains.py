from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_studies import ARMS, drawn, table_of
from scipy import stats

from sightword.statistics import holm
from sightword.study.analysis.gains import (
    PRIOR,
    change,
    corrected,
    deviations,
    examples_covariance,
    gains,
    seed_spread,
)
from sightword.study.analysis.grids import grids, pairs


def test_one_size_is_the_t_interval_over_seeds() -> None:
    seen = np.array([[0.01, 0.03, 0.02, 0.05]])
    (gain,) = gains(table_of(seen))
    expected = stats.ttest_1samp(seen[0], 0).confidence_interval(0.95)
    assert (gain.gain.low, gain.gain.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert gain.p == pytest.approx(stats.ttest_1samp(seen[0], 0).pvalue, rel=1e-6)


def test_examples_do_not_shrink_with_seeds_and_seeds_do() -> None:
    random = np.random.default_rng(0)
    few, many = (random.normal(0.02, 0.01, (1, count)) for count in (4, 400))
    first, last = gains(table_of(few, 0.005))[0], gains(table_of(many, 0.005))[0]
    assert [first.examples_error, last.examples_error] == pytest.approx([0.005, 0.005])
    assert first.seeds_error == pytest.approx(few.std(ddof=1) / 2)
    assert last.seeds_error == pytest.approx(0.01 / np.sqrt(400), rel=0.1)
    assert last.error == pytest.approx(0.005, rel=0.01)


def test_satterthwaite_lies_between_both_parts() -> None:
    seen = np.array([[0.01, 0.03, 0.02]])
    assert gains(table_of(seen, 1e-9))[0].df == pytest.approx(2, rel=1e-3)
    assert gains(table_of(seen, 1.0, units=50))[0].df == pytest.approx(49, rel=1e-3)
    a, b = 0.004**2, seen.var(ddof=1) / 3
    middle = gains(table_of(seen, 0.004, units=50))[0]
    assert middle.df == pytest.approx((a + b) ** 2 / (a**2 / 49 + b**2 / 2))


def test_a_sizes_own_spread_is_drawn_towards_the_others() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(4, 3))
    values[2, 0] = np.nan
    found = seed_spread(values)
    own = [np.nanvar(row, ddof=1) for row in values]
    free = np.array([2, 2, 1, 2])
    for i in range(4):
        rest = [j for j in range(4) if j != i]
        pooled = sum(free[j] * own[j] for j in rest) / free[rest].sum()
        assert found.variance[i] == pytest.approx((free[i] * own[i] + PRIOR * pooled) / (free[i] + PRIOR))
        assert found.df[i] == free[i] + PRIOR
    assert np.nanmax(np.abs(np.nansum(deviations(values), axis=1))) < 1e-12


def test_with_nothing_to_draw_from_a_size_has_its_own_spread_alone() -> None:
    found = seed_spread(np.array([[1.0, 3.0], [5.0, np.nan]]))
    assert found.variance.tolist() == [2.0, 2.0]
    assert found.df.tolist() == [1.0, 1.0]
    assert np.isnan(seed_spread(np.array([[1.0], [2.0]])).variance).all()


def test_examples_covariance_against_loops() -> None:
    random = np.random.default_rng(2)
    influences = random.normal(size=(3, 4, 500)) + 2 * random.normal(size=(3, 1, 500))
    covariance = np.einsum("ikm,jlm->ikjl", influences, influences)
    present = np.ones((3, 4), dtype=bool)
    present[0, 3] = present[2, 1:] = False
    found = examples_covariance(covariance, present, 0.0)
    for i in range(3):
        for j in range(3):
            products = [
                float(influences[i, k] @ influences[j, m])
                for k in range(4)
                for m in range(4)
                if present[i, k] and present[j, m] and (i != j or k != m or present[i].sum() == 1)
            ]
            assert found[i, j] == pytest.approx(np.mean(products))


def test_one_seed_says_that_seeds_are_not_known() -> None:
    (grid,) = grids(drawn(lambda a, size: 0.3 + 0.3 * a, seeds=1), ARMS)
    table = pairs(grid, ARMS[1])
    found = corrected(gains(table))
    assert [gain.seeds_error for gain in found] == [None] * 4
    assert not any(gain.shown for gain in found)
    assert found[0].gain.low > 0.2
    assert change(table) is None


def test_correction_is_holms_over_all() -> None:
    random = np.random.default_rng(3)
    found = gains(table_of(random.normal(0.006, 0.004, (5, 4))))
    adjusted = [gain.adjusted for gain in corrected(found)]
    assert adjusted == holm([gain.p for gain in found])
    assert any(gain.p < 0.05 < after for gain, after in zip(found, adjusted, strict=True))


def test_two_arms_that_answer_alike_are_not_certain_to_be_alike() -> None:
    points = drawn(lambda a, size: 0.4, seeds=2, n=100, noise=0)
    twin = {(one.size, one.seed): one for one in points if one.objective == ARMS[0]}
    same = [replace(twin[one.size, one.seed], objective=one.objective) for one in points]
    (grid,) = grids(same, ARMS)
    for gain in gains(pairs(grid, ARMS[1])):
        assert gain.gain.value == 0
        assert gain.gain.high >= 0.01  # one example of a hundred


def test_the_change_is_the_slope_over_decades() -> None:
    random = np.random.default_rng(4)
    differences = np.array([[0.05], [0.03], [0.01]]) + random.normal(0, 1e-4, (3, 5))
    found = change(table_of(differences))
    assert found is not None
    line = stats.linregress(np.repeat([3, 4, 5], 5), differences.ravel())
    assert found.per_decade.value == pytest.approx(line.slope)
    half = stats.t.isf(0.025, 12) * differences.std(axis=1, ddof=1)[[0, 2]].mean() / np.sqrt(5 * 2)
    assert found.per_decade.high - found.per_decade.value == pytest.approx(half, rel=0.3)
    assert found.direction == -1
    assert change(table_of(-differences)).direction == 1
    assert change(table_of(random.normal(0, 0.01, (3, 3)))).direction == 0
