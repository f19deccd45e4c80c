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
_AWAY = 13.0  # of a name from its mark
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
    up = padded([*(p.own.value for p in points), *ends])
    x, y = Scale(*across, LEFT, WIDTH - RIGHT), Scale(*up, TALL - BOTTOM, TOP)
    area = Field(x, y, REFERENCE, OWN)
    line = curve(area, [p.reference.value for p in points], [p.own.value for p in points], 0)
    marks = [_mark(area, p, p == chosen, p.alpha == 0 or p.allowed(tolerance)) for p in points if p != chosen]
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
    """Of the ends and of the chosen one."""
    shown = [p for p in _widest(points, chosen) if p != chosen]
    names = [_name(area, p, f"alpha {p.alpha:g}") for p in shown]
    return join([*names, _name(area, chosen, f"chosen: alpha {chosen.alpha:g}")])


def _name(area: Field, point: Point, name: str) -> Markup:
    x, y = area.x.at(point.reference.value), area.y.at(point.own.value)
    left = x > (area.x.start + area.x.stop) / 2
    x += -_AWAY if left else _AWAY
    return tag(
        "text", name, x=f"{x:.1f}", y=f"{y - 6:.1f}", text_anchor="end" if left else "start", class_="said"
    )


def _widest(points: Sequence[Point], chosen: Point) -> list[Point]:
    return [p for p in points if p == chosen or p.alpha in (0, 1)]
