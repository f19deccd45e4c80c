from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_studies import ARMS, drawn, point

from sightword.errors import SightwordError
from sightword.statistics import paired_difference, standard_error
from sightword.study.analysis.grids import grids, pairs
from sightword.study.analysis.points import MEAN, Point, mean_influences

LEVEL = 0.3


def flat(arm: int, size: int) -> float:
    return LEVEL + 0.05 * arm


def test_influences_are_the_standard_errors_and_keep_clusters_together() -> None:
    random = np.random.default_rng(0)
    values, clusters = random.random(60) < 0.4, np.repeat(np.arange(20), 3)
    alone = mean_influences(values)
    assert np.sqrt(alone @ alone) == pytest.approx(values.std() / np.sqrt(60))
    together = mean_influences(values, clusters)
    assert len(together) == 20
    assert np.sqrt(together @ together) == pytest.approx(standard_error(alone, clusters))


def test_the_difference_is_paired_example_by_example() -> None:
    random = np.random.default_rng(1)
    hard = random.random(800)
    first, second = hard < 0.4, hard + 0.05 * random.standard_normal(800) < 0.45
    (grid,) = grids([point(ARMS[0], 10, 0, first), point(ARMS[1], 10, 0, second)], ARMS)
    table = pairs(grid, ARMS[1])
    interval = paired_difference(first, second, method="percentile")
    assert table.differences[0, 0] == pytest.approx(interval.value)
    error = np.sqrt(table.covariance[0, 0, 0, 0])
    assert error == pytest.approx((interval.high - interval.low) / (2 * 1.96), rel=0.03)


def test_every_place_has_its_own_run_whatever_the_order() -> None:
    points = drawn(flat)
    random = np.random.default_rng(2)
    (grid,) = grids([points[i] for i in random.permutation(len(points))], ARMS)
    for one in points:
        place = (ARMS.index(one.objective), grid.sizes.index(one.size), one.seed)
        assert grid.values[place] == one.value
        assert np.sqrt(grid.covariance[place + place]) == pytest.approx(one.standard_error)
    first, last = points[0], points[-1]
    assert grid.covariance[0, 0, 0, 1, 3, 2] == pytest.approx(first.influences @ last.influences)


def test_a_missing_run_is_left_out_of_what_it_would_enter() -> None:
    points = [one for one in drawn(flat) if (one.objective, one.size, one.seed) != ("clip", 3000, 1)]
    (grid,) = grids(points, ARMS)
    present = pairs(grid, ARMS[1]).present
    assert np.argwhere(~present).tolist() == [[1, 1]]


def test_without_examples_arms_are_apart_and_seeds_alike() -> None:
    bare = [replace(one, influences=None, error=0.01) for one in drawn(flat)]
    (grid,) = grids(bare, ARMS)
    assert not grid.paired
    covariance = pairs(grid, ARMS[1]).covariance
    assert np.allclose(covariance[0, :, 0, :], 2 * 0.01**2)
    assert np.allclose(covariance[0, :, 1, :], 0)
    of_answers = replace(bare[0], error=None)
    assert of_answers.standard_error == pytest.approx(
        np.sqrt(of_answers.value * (1 - of_answers.value) / 1000)
    )


def test_the_mean_over_data_sets_is_of_each_ones_own_metric() -> None:
    one, other = (
        drawn(flat, seed=3),
        drawn(flat, seed=4, n=500, dataset="cars", metric="mean_per_class_recall"),
    )
    more = drawn(flat, seed=5, dataset="cars", metric="acc5", headline=False)
    mean, *single = grids([*one, *other, *more], ARMS)
    assert mean.question.dataset == MEAN
    assert mean.datasets == ("pets", "cars")
    assert len(single) == 3
    assert np.allclose(mean.values, (single[0].values + single[1].values) / 2)
    assert np.allclose(mean.covariance, (single[0].covariance + single[1].covariance) / 4)


def errors_of(points: list[Point], arms: tuple[str, ...] = ARMS) -> str:
    with pytest.raises(SightwordError) as error:
        grids(points, arms)
    return str(error.value)


def test_what_is_not_a_study_is_refused() -> None:
    points = drawn(flat)
    assert "no scores" in errors_of([])
    assert "scored twice" in errors_of([*points, points[0]])
    assert "does not name" in errors_of(points, ("clip", "clip + mae"))
    assert "from 0 to 1" in errors_of([replace(points[0], value=63.0)])
    other = point("clip", 1000, 7, np.ones(999, dtype=bool))
    assert "different examples" in errors_of([*points, other])
