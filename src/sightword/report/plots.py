"""Charts drawn layer by layer on linear or logarithmic axes: bands, intervals, zones, labels.

Every layer takes the field that it lies on and gives SVG; `chart` puts them together. Shapes, dashes, filled
or hollow marks and words say whatever colours say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from sightword.report.figures import COLOURS, WIDTH, Axis, marker
from sightword.report.markup import Markup, join, tag

TALL = 268.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 14.0, 20.0, 40.0
DASHES = 6
_APART = 12.5  # between two labels
_TICKS = 6  # at most, along a logarithmic axis
_MANTISSAS = ((1.0, 2.0, 3.0, 4.0, 6.0, 8.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
Number = int | float


@dataclass(frozen=True)
class Scale:
    """Where values lie between two ends of the drawing; what lies outside is drawn at the end."""

    low: Number
    high: Number
    start: Number
    stop: Number
    log: bool = False

    def at(self, value: Number) -> float:
        """The place of a value."""
        if self.log:
            value = max(value, self.low)
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + (self.stop - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Round values within."""
        if not self.log or self.high < 4 * self.low:
            most = 8 if self.log else 5
            found = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        else:
            found = _round_logs(self.low, self.high)
        tiny = 1e-9 * abs(self.high)
        return [float(v) for v in found if self.low - tiny <= v <= self.high + tiny]


@dataclass(frozen=True)
class Field:
    """The area that a chart is drawn on, and what its axes measure."""

    x: Scale
    y: Scale
    across: Axis
    up: Axis
    width: Number = WIDTH
    height: Number = TALL


def field(
    xs: tuple[Number, Number],
    ys: tuple[Number, Number],
    across: Axis,
    up: Axis,
    *,
    log_y: bool = False,
    right: Number = RIGHT,
) -> Field:
    """A field with a logarithmic axis across.

    Args:
        xs, ys: the ends of the axes, of `xs` (and with log_y of `ys`) above 0.
        across, up: what the axes measure.
        log_y: whether the axis up is logarithmic, too.
        right: room right of it, for labels.
    """
    x = Scale(*xs, LEFT, WIDTH - RIGHT, log=True)
    return Field(x, Scale(*ys, TALL - BOTTOM, TOP, log_y), across, up, WIDTH - RIGHT + right)


def padded(values: Iterable[Number], share: Number = 0.06) -> tuple[float, float]:
    """The ends of a linear axis that shows all values and a little more."""
    known = list(values)
    low, high = min(known), max(known)
    room = (high - low) * share or max(abs(high) * share, 0.01)
    return low - room, high + room


def chart(title: str, area: Field, layers: Iterable[Markup]) -> Markup:
    """The layers over the axes; `title` is for those who do not see it."""
    drawn = (tag("title", title), axes(area), *layers)
    box = f"0 0 {area.width:g} {area.height:g}"
    return tag("svg", *drawn, viewBox=box, role="img", class_="chart plot")


def axes(area: Field) -> Markup:
    """Grid, ticks and names."""
    parts = [tag("text", area.up.label, x="0", y="10", class_="axis-name")]
    for value in area.y.ticks():
        at = area.y.at(value)
        line = _line(area.x.start, area.x.stop, at, at, "grid")
        parts += [line, tag("text", area.up.write(value), x=LEFT - 7, y=_n(at + 3.5), text_anchor="end")]
    base = area.y.start
    for value in area.x.ticks():
        at = area.x.at(value)
        parts.append(_line(at, at, base, base + 4, "tick"))
        parts.append(tag("text", area.across.write(value), x=_n(at), y=_n(base + 16), text_anchor="middle"))
    parts.append(_line(area.x.start, area.x.stop, base, base, "tick"))
    place = {"x": _n(area.x.stop), "y": _n(area.height - 6), "text_anchor": "end"}
    return join([*parts, tag("text", area.across.label, class_="axis-name", **place)])


def zone(area: Field, low: Number, high: Number, label: str) -> Markup:
    """A shaded part of the axis across, named at its top; nothing where it has no width."""
    left, right = area.x.at(low), area.x.at(high)
    if right - left < 1:
        return Markup("")
    top, size = area.y.stop, {"width": _n(right - left), "height": _n(area.y.start - area.y.stop)}
    shade = tag("rect", x=_n(left), y=_n(top), class_="beyond", **size)
    edge = [_line(at, at, top, area.y.start, "edge") for at in (left, right) if _inside(area, at)]
    name = tag("text", label, x=_n((left + right) / 2), y=_n(top + 11), text_anchor="middle", class_="zone")
    return join([shade, *edge, name if right - left > 5.4 * len(label) else ""])


def level(area: Field, value: Number) -> Markup:
    """A line at a value of the axis up."""
    return _line(area.x.start, area.x.stop, area.y.at(value), area.y.at(value), "zero")


def band(
    area: Field, xs: Sequence[Number], lows: Sequence[Number], highs: Sequence[Number], colour: int
) -> Markup:
    """What lies between two lines."""
    there = [_spot(area, x, y) for x, y in zip(xs, highs, strict=True)]
    back = [_spot(area, x, y) for x, y in zip(xs, lows, strict=True)]
    return _coloured(colour, tag("path", d="M" + "L".join(there + back[::-1]) + "z", class_="band"))


def curve(
    area: Field, xs: Sequence[Number], ys: Sequence[Number], colour: int, dash: int = 0, guessed: bool = False
) -> Markup:
    """A line; `guessed` where nothing was run. What leaves the field is not drawn."""
    parts: list[list[str]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if area.y.low <= y <= area.y.high and area.x.low <= x * (1 + 1e-9) and x <= area.x.high * (1 + 1e-9):
            parts[-1].append(_spot(area, x, y))
        elif parts[-1]:
            parts.append([])
    path = "".join("M" + "L".join(part) for part in parts if len(part) > 1)
    kind = "line guessed" if guessed else f"line d{dash % DASHES}"
    return _coloured(colour, tag("path", d=path, class_=kind, fill="none")) if path else Markup("")


def spot(
    area: Field,
    x: Number,
    y: Number,
    colour: int,
    said: str,
    ends: tuple[Number, Number] | None = None,
    hollow: bool = False,
    size: Number = 4.4,
    kind: str = "",
    aside: Number = 0.0,
) -> Markup:
    """A mark that can be read by hovering, with the ends of its interval; drawn `aside` of its place."""
    at, up = area.x.at(x) + aside, area.y.at(y)
    whisker = _whisker(area, at, ends) if ends else Markup("")
    look = f"{'hollow' if hollow else 'dot'} {kind}".strip()
    return _coloured(colour, whisker, marker(colour, at, up, size, said, class_=look))


def stretch(area: Field, low: Number, high: Number, value: Number, label: str) -> Markup:
    """An interval on the axis across itself, with its middle and a name."""
    base, left, right, at = area.y.start, area.x.at(low), area.x.at(high), area.x.at(value)
    bar = tag(
        "rect", x=_n(left), y=_n(base - 3.5), width=_n(max(right - left, 1)), height=7, class_="stretch"
    )
    ends = [_line(x, x, base - 6, base + 6, "stretch-end") for x in (left, right)]
    peak = f"M{_n(at)} {_n(base - 4)}l5 -9h-10z"
    anchor, x = ("end", right) if at > (area.x.start + area.x.stop) / 2 else ("start", left)
    name = tag("text", label, x=_n(x), y=_n(base - 17), text_anchor=anchor, class_="said")
    return join([bar, *ends, tag("path", tag("title", label), d=peak, class_="stretch-at"), name])


def labels(area: Field, named: Sequence[tuple[str, Number, int]]) -> Markup:
    """Names right of the field, each with its mark, at the height of a value and never on each other."""
    ordered = sorted(named, key=lambda one: area.y.at(one[1]))
    heights = _spread([area.y.at(value) for _, value, _ in ordered], area.y.stop + 4, area.y.start)
    parts = []
    for (name, _, colour), at in zip(ordered, heights, strict=True):
        x = area.x.stop + 10
        mark = marker(colour, x, at, 3.6, class_="dot")
        text = tag("text", name, x=_n(x + 8), y=_n(at + 3.6), class_="said")
        parts.append(_coloured(colour, mark, text))
    return join(parts)


def _spread(wanted: Sequence[Number], top: Number, base: Number) -> list[Number]:
    """Heights at least `_APART` from each other, in order, near those wanted."""
    found: list[Number] = []
    for at in wanted:
        found.append(max(at, found[-1] + _APART if found else top))
    limit = max(base, top + _APART * (len(found) - 1))
    for i in reversed(range(len(found))):
        found[i] = min(found[i], limit)
        limit = found[i] - _APART
    return found


def _round_logs(low: Number, high: Number) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in _MANTISSAS:
        found = [m * 10.0**d for d in decades for m in mantissas if low <= m * 10.0**d <= high * (1 + 1e-9)]
        if len(found) <= _TICKS:
            return found
    return found[:: -(-len(found) // _TICKS)]


def _whisker(area: Field, at: Number, ends: tuple[Number, Number]) -> Markup:
    low, high = (area.y.at(end) for end in ends)
    caps = [_line(at - 3, at + 3, y, y, "whisker") for y in (low, high)]
    return join([_line(at, at, low, high, "whisker"), *caps])


def _inside(area: Field, at: Number) -> bool:
    return area.x.start + 0.5 < at < area.x.stop - 0.5


def _coloured(colour: int, *parts: Markup) -> Markup:
    return tag("g", *parts, class_=f"c{colour % COLOURS}")


def _spot(area: Field, x: Number, y: Number) -> str:
    return f"{_n(area.x.at(x))} {_n(area.y.at(y))}"


def _line(x1: Number, x2: Number, y1: Number, y2: Number, kind: str) -> Markup:
    return tag("line", x1=_n(x1), x2=_n(x2), y1=_n(y1), y2=_n(y2), class_=kind)


def _n(value: Number) -> str:
    return f"{value:.1f}"
