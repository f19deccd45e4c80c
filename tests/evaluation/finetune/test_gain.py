from __future__ import annotations

import numpy as np
import pytest

from sightword.evaluation.finetune.gain import gain


def crossed(
    random: np.random.Generator, seeds: int, n: int, between: float, gained: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two arms whose accuracy differs by `gained`, and from seed to seed by more or less."""
    hard = random.uniform(0, 1, n)
    moved = random.normal(0, between, (2, seeds, 1))
    noise = random.uniform(-0.2, 0.2, (2, seeds, n))
    scratch = hard + noise[0] + moved[0] < 0.6
    return scratch, hard + noise[1] + moved[1] < 0.6 + gained


def test_the_difference_and_the_ends_are_those_of_a_plain_crossed_bootstrap() -> None:
    random = np.random.default_rng(0)
    scratch, tuned = crossed(random, 4, 60, 0.05, 0.1)
    differences = tuned.astype(float) - scratch
    means = []
    for _ in range(4000):
        pictures = random.integers(0, 60, 60)
        runs = random.integers(0, 4, 4)
        inner = differences[:, pictures].mean(axis=1)
        means.append(inner.mean() + (4 / 3) ** 0.5 * (inner[runs].mean() - inner.mean()))
    found = gain(scratch, tuned)
    assert found.value == pytest.approx(differences.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.012)
    assert gain(scratch, tuned) == found


def test_without_a_difference_there_is_none_and_one_that_is_everywhere_is_sure() -> None:
    right = np.random.default_rng(1).uniform(size=(3, 50)) < 0.5
    assert vars(gain(right, right)) == {"value": 0.0, "low": 0.0, "high": 0.0}
    found = gain(np.zeros((3, 50), dtype=bool), np.ones((3, 50), dtype=bool))
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_seeds_that_differ_widen_the_interval_and_more_pictures_do_not_help() -> None:
    random = np.random.default_rng(2)
    calm = gain(*crossed(random, 4, 1000, 0.0, 0.05), resamples=500)
    wild = gain(*crossed(random, 4, 1000, 0.15, 0.05), resamples=500)
    more = gain(*crossed(random, 4, 4000, 0.15, 0.05), resamples=500)
    assert calm.high - calm.low < 0.5 * (wild.high - wild.low)
    assert more.high - more.low > 0.3 * (wild.high - wild.low)


def test_intervals_hold_what_they_promise() -> None:
    """At least about 95 of 100, as far as five seeds can tell."""
    random = np.random.default_rng(3)
    many = [crossed(random, 40, 400, 0.03, 0.05) for _ in range(40)]
    truth = np.mean([tuned.mean() - scratch.mean() for scratch, tuned in many])
    held = 0
    for _ in range(150):
        found = gain(*crossed(random, 5, 300, 0.03, 0.05), resamples=400)
        held += found.low <= truth <= found.high
    assert held >= 135
