"""Influences: the values and errors that the metrics' own intervals and paired tests have."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sightword.evaluation.differences import difference
from sightword.evaluation.influence import pulled
from sightword.evaluation.outcomes import About, Outcomes

ABOUT = About("set", "test", "linear", "p", "w", "d")


def outcomes(seed: int, clustered: bool, metric: str) -> Outcomes:
    """Random answers to 200 examples of two classes; rows in an order of its own."""
    chance, truth = np.random.default_rng(seed), np.random.default_rng(0)
    label = truth.integers(0, 2, 200)
    cluster = [f"c{i}" for i in truth.integers(0, 60, 200)] if clustered else None
    rank = np.where(chance.random(200) < 0.6 + 0.2 * label, 1, chance.integers(2, 9, 200))
    table = pa.table(
        {
            "key": [f"k{i:03}" for i in range(200)],
            "cluster": pa.array(cluster or [None] * 200, pa.string()),
            "label": label,
            "rank": rank,
            "score": chance.normal(size=200) + label,
            "credit": chance.random(200),
        }
    )
    shuffled = table.take(np.random.default_rng(seed + 9).permutation(200))
    return Outcomes(ABOUT, tuple("abcdefgh"), shuffled, metric, (metric,))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", ["acc1", "acc5", "mean_per_class_recall", "mean_acc1_acc5", "roc_auc"])
def test_products_are_the_covariance_that_pairing_finds(metric: str, clustered: bool) -> None:
    first, second = (outcomes(seed, clustered, metric) for seed in (1, 2))
    one, other = pulled(first, metric), pulled(second, metric)
    assert one is not None
    assert other is not None
    assert one.units == other.units == tuple(sorted(one.units))
    known = difference(first, second, metric)
    assert (one.value, other.value) == (pytest.approx(known.first), pytest.approx(known.second))
    apart = other.influences - one.influences
    error = np.sqrt(apart @ apart)
    assert error == pytest.approx(known.error, rel=0.02)  # pairing widens by units / (units - 1)


def test_a_mean_of_credits() -> None:
    plain = outcomes(3, False, "credit")
    rows = plain.table.drop_columns(["label", "rank", "score"])
    found = pulled(Outcomes(ABOUT, (), rows, "credit", ("credit",)), "credit")
    assert found is not None
    values = rows["credit"].to_numpy()
    assert found.value == pytest.approx(values.mean())
    assert np.sqrt(found.influences @ found.influences) == pytest.approx(values.std() / np.sqrt(200))


def test_what_is_not_made_example_by_example() -> None:
    assert pulled(outcomes(4, False, "acc1"), "miou") is None
