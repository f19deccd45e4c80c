"""The rule by which a mixture is chosen, on curves made by hand."""

from __future__ import annotations

import pytest

from sightword.adapting.choice import Point, choose
from sightword.statistics import Interval

NONE = Interval(0.0, 0.0, 0.0)


def point(alpha: float, own: float, lost: float, worst: float = 0.0, half: float = 0.005) -> Point:
    """A mixture that lost so much of the reference and of its worst set, give or take `half`."""
    change, gone = (Interval(-one, -one - half, -one + half) for one in (lost, max(lost, worst)))
    own_score, left = Interval(own, own - 0.05, own + 0.05), Interval(0.5 - lost, 0.4, 0.6)
    return Point(alpha, own_score, NONE, left, change, gone, "squares/test")


START = Point(0.0, Interval(0.3, 0.25, 0.35), NONE, Interval(0.5, 0.4, 0.6), NONE, NONE, "")


@pytest.mark.parametrize(("tolerance", "chosen"), [(0.0, 0.0), (0.01, 0.25), (0.02, 0.5), (0.05, 1.0)])
def test_the_best_that_loses_no_more_than_the_tolerance(tolerance: float, chosen: float) -> None:
    points = [START, point(0.25, 0.4, 0.004), point(0.5, 0.5, 0.014), point(1.0, 0.6, 0.04)]
    assert choose(points, tolerance).alpha == chosen


def test_a_small_reference_lets_no_more_pass() -> None:
    """Its interval is wide, and its loss is none the less."""
    assert choose([START, point(1.0, 0.6, 0.04, half=0.06)], 0.01) == START


@pytest.mark.parametrize(("half", "chosen"), [(0.02, 0.0), (0.05, 1.0)], ids=["shown", "not shown"])
def test_what_other_sets_gain_does_not_hide_what_one_is_shown_to_lose(half: float, chosen: float) -> None:
    gained = point(1.0, 0.6, -0.02, worst=0.04, half=half)
    assert gained.reference_gain.value == 0.02
    assert choose([START, gained], 0.01).alpha == chosen


def test_of_equal_ones_the_nearest_to_the_start() -> None:
    points = [point(0.75, 0.4, 0.0), START, point(0.5, 0.4, 0.0), point(1.0, 0.39, 0.0)]
    assert choose(points, 0.01).alpha == 0.5
    assert choose([START, point(0.5, 0.3, 0.0), point(1.0, 0.2, 0.0)], 0.01) == START


def test_the_start_stays_where_all_others_lose_too_much() -> None:
    assert choose([START, point(0.5, 0.9, 0.2), point(1.0, 0.95, 0.3)], 0.01) == START
