"""The intervals hold the truth as often as they say: `bench/study_coverage.py` in small."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jaxtyping
import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
LOW, HIGH = 0.92, 0.98
Rows = dict[str, list[dict[str, float]]]


@pytest.fixture(scope="module")
def coverage() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield importlib.import_module("study_coverage")


@pytest.fixture(scope="module")
def rows(coverage: ModuleType) -> Rows:
    """500 studies that cross inside, and 30 of every other family."""
    found = {}
    # Shapes are checked by the other tests; here that would take most of the time.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        for name in coverage.ALL:
            count = 500 if name == "inside" else 30
            found[name] = [
                coverage.one(
                    np.random.default_rng([i, len(name)]), name, (2, 3, 5)[i % 3], with_laws=i % 6 == 0
                )
                for i in range(count)
            ]
    return found


def test_gains_at_the_sizes(coverage: ModuleType, rows: Rows) -> None:
    inside = coverage.shares(rows["inside"])
    every = coverage.shares([row for some in rows.values() for row in some])
    for found in (inside, every):
        for name in ("gain", "gain_smallest", "gain_largest"):
            assert LOW <= found[name] <= HIGH, (name, found[name])


def test_crossovers(coverage: ModuleType, rows: Rows) -> None:
    inside = coverage.shares(rows["inside"])
    assert inside["crossovers_judged"] > 150
    assert LOW <= inside["crossover"] <= HIGH
    assert LOW <= inside["at_crossing"] <= HIGH
    assert inside["wrong"] < 0.05


def test_predictions_hold_at_least_as_often_as_they_say(coverage: ModuleType, rows: Rows) -> None:
    for name, some in rows.items():
        found = coverage.shares(some)
        assert found["gain_2x"] >= 0.85, name  # of 30 studies: 2.5 standard errors are 10 %
        assert found["gain_10x"] >= 0.85, name


def test_where_nothing_crosses_nothing_is_said_to(coverage: ModuleType, rows: Rows) -> None:
    some = [row for name in ("shrinking", "lasting", "equal") for row in rows[name]]
    found = coverage.shares(some)
    assert found["wrong"] <= 0.025
    assert coverage.shares(rows["equal"])["wrong_sign"] <= 0.05


def test_laws_hold_where_arms_follow_them(coverage: ModuleType, rows: Rows) -> None:
    follow = [row for name in ("inside", "beyond", "shrinking", "lasting") for row in rows[name]]
    found = coverage.shares(follow)
    assert found["band"] > 0.9
    assert found["law_10x"] > 0.9


def test_a_benchmark_that_could_not_fail_would_be_none(coverage: ModuleType) -> None:
    """Intervals half as wide hold the truth too seldom, and the count says so."""
    known = coverage.truth(np.random.default_rng(0), "inside", 3)
    held = []
    for i in range(40):
        (grid,) = coverage.grids(coverage.study(np.random.default_rng(i), known), coverage.ARMS)
        for gain, value in zip(
            coverage.gains(coverage.pairs(grid, coverage.ARMS[1])), known.gain(known.sizes), strict=True
        ):
            half = (gain.gain.high - gain.gain.low) / 4
            held.append(abs(gain.gain.value - value) <= half)
    assert np.mean(held) < LOW - 0.1
