"""Plots put values where they belong, leave out what lies beyond, and keep names apart."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest

from sightword.report.figures import Axis
from sightword.report.plots import (
    Field,
    Scale,
    axes,
    band,
    chart,
    curve,
    field,
    labels,
    padded,
    spot,
    stretch,
    zone,
)

AXIS = Axis("x", lambda value: f"{value:g}")


@pytest.fixture
def area() -> Field:
    return field((100.0, 1e5), (-1.0, 1.0), AXIS, AXIS)


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_a_logarithmic_scale_has_equal_steps_for_equal_ratios() -> None:
    scale = Scale(10, 1000, 0, 200, log=True)
    assert [scale.at(v) for v in (10, 100, 1000)] == pytest.approx([0, 100, 200])
    assert scale.at(10 * math.sqrt(10)) == pytest.approx(50)
    assert scale.at(1) == 0  # what lies outside is drawn at the end
    assert scale.at(0) == 0
    assert scale.at(1e9) == 200


def test_a_linear_scale_turns_with_its_ends() -> None:
    assert [Scale(-1, 1, 100, 0).at(v) for v in (-1, 0, 0.5, 1, 7)] == pytest.approx([100, 50, 25, 0, 0])


@pytest.mark.parametrize(
    ("low", "high"), [(1e3, 4e5), (0.22, 0.8), (0.21, 0.9), (900, 1100), (1e3, 1.4e9), (-3e-2, 9e-2)]
)
def test_ticks_are_few_round_and_within(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 1, log=low > 0).ticks()
    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert ticks == sorted(set(ticks))
    assert all(float(f"{tick:.4g}") == pytest.approx(tick, abs=1e-12) for tick in ticks)


def test_padding_leaves_room_even_for_one_value() -> None:
    for values in ([0.0], [3.0], [-1.0, 2.0]):
        low, high = padded(values)
        assert low < min(values) <= max(values) < high


def test_a_band_goes_there_above_and_back_below(area: Field) -> None:
    drawn = band(area, [100, 1000, 1e5], [-0.5, 0.0, 0.1], [0.5, 0.6, 0.7], 1)
    assert 'class="c1"' in drawn
    spots = places(re.search(r'd="M([^"]+)z"', drawn)[1])
    xs, ys = zip(*spots, strict=True)
    assert xs[:3] == xs[:2:-1]
    assert all(up < down for up, down in zip(ys[:3], ys[:2:-1], strict=True))


def test_a_line_is_not_drawn_where_it_leaves_the_field(area: Field) -> None:
    drawn = curve(area, [100, 1000, 5000, 1e4, 1e5], [0.1, 0.2, 9.0, 0.3, 0.4], 2, dash=8)
    path = re.search(r' d="([^"]+)"', drawn)[1]
    assert path.count("M") == 2
    assert len(places(path)) == 4
    assert 'class="line d2"' in drawn  # dashes repeat after six
    assert curve(area, [1e6, 1e7], [0.1, 0.2], 0) == ""


def test_a_mark_with_its_interval_can_be_read_by_hovering(area: Field) -> None:
    drawn = spot(area, 1000, 0.5, 3, 'a < "b"', ends=(0.25, 0.75), hollow=True)
    assert "<title>a &lt; &quot;b&quot;</title>" in drawn
    assert 'class="hollow"' in drawn
    whisker = re.search(r'y1="([\d.]+)" y2="([\d.]+)" class="whisker"', drawn)
    assert [float(one) for one in whisker.groups()] == pytest.approx(
        [area.y.at(0.25), area.y.at(0.75)], abs=0.06
    )


def test_a_zone_covers_its_part_and_is_named(area: Field) -> None:
    drawn = zone(area, 1e4, 1e5, "extrapolated")
    x, width = (float(re.search(rf' {name}="([\d.]+)"', drawn)[1]) for name in ("x", "width"))
    assert x == pytest.approx(area.x.at(1e4), abs=0.06)
    assert x + width == pytest.approx(area.x.at(1e5), abs=0.11)
    assert ">extrapolated</text>" in drawn
    assert zone(area, 1e5, 1e5, "nothing") == ""


def test_a_stretch_stands_between_its_ends(area: Field) -> None:
    drawn = stretch(area, 500, 5000, 2000, "crossover at 2,000")
    ends = [float(x) for x in re.findall(r'x1="([\d.]+)" x2="\1"[^>]*class="stretch-end"', drawn)]
    peak = float(re.search(r'd="M([\d.]+)', drawn)[1])
    assert ends == pytest.approx([area.x.at(500), area.x.at(5000)], abs=0.06)
    assert ends[0] < peak < ends[1]


def test_names_at_one_height_are_pushed_apart_in_order(area: Field) -> None:
    named = [(f"arm {i}", 0.5 - 0.001 * i, i) for i in range(12)]
    drawn = labels(area, named)
    found = re.findall(r'y="([\d.]+)" class="said">arm (\d+)<', drawn)
    heights = [float(y) for y, _ in found]
    assert [int(i) for _, i in found] == list(range(12))
    assert min(b - a for a, b in pairwise(heights)) >= 12
    low = labels(area, [(f"arm {i}", -0.99, i) for i in range(5)])
    assert max(float(y) for y in re.findall(r' y="([\d.]+)" class="said"', low)) <= area.y.start + 4


def test_a_chart_says_what_it_shows(area: Field) -> None:
    drawn = chart("<what>", area, [])
    assert "><title>&lt;what&gt;</title>" in drawn
    assert drawn.count('class="grid"') == len(area.y.ticks())
    assert axes(area) in drawn
