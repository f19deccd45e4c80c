"""One's own score against the reference's, one mark for each mixture: WiSE-FT's figure of this adaptation."""

from __future__ import annotations

from collections.abc import Sequence

from sightword.adapting.choice import Point
from sightword.report import phrases
from sightword.report.figures import WIDTH, Axis
from sightword.report.markup import Markup, join, tag
from sightword.report.plots import BOTTOM, LEFT, RIGHT, TALL, TOP, Field, Scale, chart, curve, padded, spot

OWN = Axis("your validation pairs, retrieval", lambda value: f"{100 * value:.3g}{phrases.THIN}%")
REFERENCE = Axis("reference, mean of its sets", lambda value: f"{100 * value:.3g}{phrases.THIN}%")
_EDGE = 0.2  # of the axis, where names begin or end at their marks
_ROOM = 0.3  # of the axis, that a name beside its mark takes
TITLE = "Your pairs against the reference, from the weights before (alpha 0) to those after (alpha 1)"


def curve_figure(points: Sequence[Point], chosen: Point, tolerance: float) -> Markup:
    """Filled marks are allowed, hollow ones lose more than the tolerance; the chosen one is a square.

    Args:
        points: by ascending alpha.
        chosen: one of them.
        tolerance: of the reference score, a fraction.
    """
    ends = [end for p in _widest(points, chosen) for end in (p.own.low, p.own.high)]
    across = padded([p.reference.value for p in points], 0.12)
    up = padded([*(p.own.value for p in points), *ends], 0.12)
    x, y = Scale(*across, LEFT, WIDTH - RIGHT), Scale(*up, TALL - BOTTOM, TOP)
    area = Field(x, y, REFERENCE, OWN)
    line = curve(area, [p.reference.value for p in points], [p.own.value for p in points], 0)
    marks = [_mark(area, p, p == chosen, p.allowed(tolerance)) for p in points if p != chosen]
    marks.append(_mark(area, chosen, True, True))
    return tag(
        "figure", tag("figcaption", TITLE), chart(TITLE, area, [line, *marks, _names(area, points, chosen)])
    )


def said(point: Point, chosen: bool) -> str:
    """A mixture in words."""
    own, reference = (phrases.percent(one.value) for one in (point.own, point.reference))
    return f"alpha {point.alpha:g}{', chosen' if chosen else ''}: your pairs {own}, reference {reference}"


def _mark(area: Field, point: Point, chosen: bool, allowed: bool) -> Markup:
    ends = (point.own.low, point.own.high) if chosen or point.alpha in (0, 1) else None
    colour, size = (1, 6.5) if chosen else (0, 4.4)
    place = point.reference.value, point.own.value
    return spot(area, *place, colour, said(point, chosen), ends=ends, hollow=not allowed, size=size)


def _names(area: Field, points: Sequence[Point], chosen: Point) -> Markup:
    """Below the intervals of the ends; that of the chosen one beside its mark."""
    ends = [point for point in _widest(points, chosen) if point != chosen]
    names = [_name(area, one, f"alpha {one.alpha:g}", area.y.at(one.own.low) + 14) for one in ends]
    return join([*names, _beside(area, points, chosen)])


def _beside(area: Field, points: Sequence[Point], chosen: Point) -> Markup:
    """On the side that the line comes from less, unless the figure ends there."""
    here = points.index(chosen)
    around = [one.reference.value for one in points[max(0, here - 1) : here + 2]]
    share = _share(area, chosen)
    right = share < 1 - _ROOM and (share < _ROOM or sum(around) / len(around) <= chosen.reference.value)
    x = area.x.at(chosen.reference.value) + (11 if right else -11)
    name, anchor = f"chosen: alpha {chosen.alpha:g}", "start" if right else "end"
    up = area.y.at(chosen.own.value) + 4
    return tag("text", name, x=f"{x:.1f}", y=f"{up:.1f}", text_anchor=anchor, class_="said")


def _name(area: Field, point: Point, name: str, up: float) -> Markup:
    at, share = area.x.at(point.reference.value), _share(area, point)
    anchor = "start" if share < _EDGE else "end" if share > 1 - _EDGE else "middle"
    return tag("text", name, x=f"{at:.1f}", y=f"{up:.1f}", text_anchor=anchor, class_="said")


def _share(area: Field, point: Point) -> float:
    """How far across the figure a mark is."""
    return (area.x.at(point.reference.value) - area.x.start) / (area.x.stop - area.x.start)


def _widest(points: Sequence[Point], chosen: Point) -> list[Point]:
    return [p for p in points if p == chosen or p.alpha in (0, 1)]
