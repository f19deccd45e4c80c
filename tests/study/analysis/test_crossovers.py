from __future__ import annotations

import numpy as np
import pytest
from drawn_studies import table_of

from sightword.study.analysis import crossovers
from sightword.study.analysis.crossovers import crossover
from sightword.study.analysis.gain_curves import gain_curve


def found_of(gains: list[float], noise: float = 0.002) -> crossovers.Crossover:
    apart = np.linspace(-1, 1, 3) * noise
    curve = gain_curve(table_of(np.array(gains)[:, None] + apart, 0.001))
    assert curve is not None
    return crossover(curve)


def test_a_gain_that_turns_has_its_crossover_between_the_signs() -> None:
    found = found_of([0.06, 0.03, -0.01, -0.04])
    assert (found.kind, found.sign) == ("crosses", 1)
    assert found.size is not None
    assert 10_000 < found.size.low < found.size.value < found.size.high < 10**5.5
    assert found.size.value == pytest.approx(10**4.75, rel=0.15)
    other = found_of([-0.06, -0.03, 0.01, 0.04])
    assert (other.kind, other.sign) == ("crosses", -1)
    assert other.size is not None
    ends = [(size.low, size.value, size.high) for size in (found.size, other.size)]
    assert ends[0] == pytest.approx(ends[1])


def test_its_ends_are_where_no_gain_is_at_the_edge_of_the_interval() -> None:
    table = table_of(np.array([0.05, 0.02, -0.03])[:, None] + np.linspace(-1, 1, 3) * 0.003, 0.002)
    curve = gain_curve(table)
    assert curve is not None
    size = crossover(curve).size
    assert size is not None
    assert curve.interval(size.low).low == pytest.approx(0, abs=3e-4)
    assert curve.interval(size.high).high == pytest.approx(0, abs=3e-4)
    assert curve.interval(size.value).value == pytest.approx(0, abs=3e-4)


def test_a_lasting_gain_has_none_up_to_a_decade_beyond() -> None:
    found = found_of([0.05, 0.05, 0.05, 0.05], noise=0.001)
    assert (found.kind, found.sign, found.size) == ("none", 1, None)
    assert found.shown == pytest.approx((1e3, 1e7))
    assert found.reach == pytest.approx((1e2, 1e7))


def test_a_shrinking_gain_is_undetermined_and_shown_where_it_is() -> None:
    found = found_of([0.05, 0.03, 0.015, 0.006])
    assert (found.kind, found.size, found.sign) == ("undetermined", None, 1)
    assert found.shown is not None
    assert found.shown[0] == pytest.approx(1e3)
    assert 1e5 < found.shown[1] < 1e7


def test_nothing_shown_is_undetermined_everywhere() -> None:
    found = found_of([0.002, -0.003, 0.001, -0.001], noise=0.02)
    assert (found.kind, found.sign, found.shown) == ("undetermined", 0, None)


def test_a_gain_that_turns_twice_is_no_crossover() -> None:
    found = found_of([-0.05, 0.05, -0.05, -0.05])
    assert (found.kind, found.size) == ("undetermined", None)


def test_stretches_are_runs_of_one_sign() -> None:
    assert crossovers._stretches(np.array([1, 1, 0, -1])) == [(1, 0, 2), (0, 2, 3), (-1, 3, 4)]
    assert crossovers._stretches(np.array([0])) == [(0, 0, 1)]


def test_a_curve_that_wavers_about_zero_has_the_widest_interval() -> None:
    """Between the clear ends it passes the border twice on either side: the outermost count."""
    x = np.arange(8.0)
    z = np.array([-3.0, -1.0, -2.5, 0.5, -0.5, 2.5, 1.0, 3.0])
    from scipy import special

    found = crossovers._between(x, special.ndtr(-z), 1, 0.025)
    assert np.log10(found.low) == pytest.approx((3 - 1.96) / 2, abs=0.01)
    assert np.log10(found.high) == pytest.approx(6 + 0.96 / 2, abs=0.01)
    assert 2 < np.log10(found.value) < 5
