"""The rule by which a mixture is chosen, on curves made by hand."""

from __future__ import annotations

import pytest

from sightword.adapting.choice import Point, choose
from sightword.statistics import Interval

NONE = Interval(0.0, 0.0, 0.0)


def point(alpha: float, own: float, lost: float, half: float = 0.005) -> Point:
    """A mixture that lost so much of the reference, give or take `half`."""
    change = Interval(-lost, -lost - half, -lost + half)
    return Point(alpha, Interval(own, own - 0.05, own + 0.05), NONE, Interval(0.5 - lost, 0.4, 0.6), change)


START = Point(0.0, Interval(0.3, 0.25, 0.35), NONE, Interval(0.5, 0.4, 0.6), NONE)


@pytest.mark.parametrize(
    ("tolerance", "chosen"), [(0.0, 0.25), (0.01, 0.5), (0.05, 1.0)], ids=["none", "one point", "five"]
)
def test_the_best_whose_loss_is_not_shown_to_exceed_the_tolerance(tolerance: float, chosen: float) -> None:
    points = [START, point(0.25, 0.4, 0.004), point(0.5, 0.5, 0.014), point(1.0, 0.6, 0.04)]
    assert choose(points, tolerance).alpha == chosen


def test_a_small_reference_lets_more_pass() -> None:
    """Its interval is wide, so that a loss is not shown."""
    assert choose([START, point(1.0, 0.6, 0.04, half=0.06)], 0.01).alpha == 1.0


def test_of_equal_ones_the_nearest_to_the_start() -> None:
    points = [point(0.75, 0.4, 0.0), START, point(0.5, 0.4, 0.0), point(1.0, 0.39, 0.0)]
    assert choose(points, 0.01).alpha == 0.5
    assert choose([START, point(0.5, 0.3, 0.0), point(1.0, 0.2, 0.0)], 0.01) == START


def test_the_start_stays_where_all_others_lose_too_much() -> None:
    assert choose([START, point(0.5, 0.9, 0.2), point(1.0, 0.95, 0.3)], 0.01) == START
