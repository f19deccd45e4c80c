"""Bars as inline SVG in the style of the run report's charts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sightword.corpora.stats.record import Histogram
from sightword.corpora.stats.says import percent
from sightword.report.figures import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from sightword.report.markup import Markup, join, tag

_LABELS = 9  # along an axis, at most
_STRIDES = (1, 2, 4, 5, 10, 20, 40)
_GAP = 1.5  # between bars
_LOWEST = 1.5  # of a bar that is not nothing


@dataclass(frozen=True)
class Mark:
    """A value worth a line through the figure."""

    value: int | float
    label: str


def bars(
    title: str,
    found: Histogram,
    axis: str,
    write: Callable[[float], str],
    mark: Mark | None = None,
    centred: bool = False,
) -> Markup:
    """A histogram, every bin equally wide whatever it covers; each bar can be read by hovering.

    Args:
        title: what is shown, also for those who do not see it.
        found: the counts; empty bins at both ends are left out.
        axis: what the values are.
        write: a value in digits.
        mark: a value worth a line.
        centred: label the middles of bins (on a scale of ratios) instead of their edges.
    """
    first, last = _there(found, mark)
    edges, counts = found.edges[first : last + 2], found.counts[first : last + 1]
    total, top = sum(found.counts) or 1, max(counts) or 1
    wide = (WIDTH - LEFT - RIGHT) / len(counts)
    parts = [_levels(top, total)]
    for place, count in enumerate(counts):
        ends = _ends(found, first + place, write)
        parts.append(
            _bar(
                LEFT + wide * place, wide, count / top, f"{ends} {axis}: {count:,} ({percent(count / total)})"
            )
        )
    parts.append(_labels(edges, wide, write, centred, found.open and last == len(found.counts) - 1))
    if mark is not None and edges[0] < mark.value <= edges[-1]:
        parts.append(_mark(mark, edges, wide))
    name = tag("text", axis, x=WIDTH - RIGHT, y=HEIGHT - 5, text_anchor="end", class_="axis-name")
    middle = (
        f"half lie up to {write(found.median)}, nine in ten from {write(found.low)} to {write(found.high)}"
    )
    return figure(title, f"{title}: {middle}", [*parts, name])


def _there(found: Histogram, mark: Mark | None) -> tuple[int, int]:
    """The first and the last bin that is shown: those with something in them, and the mark's."""
    filled = [place for place, count in enumerate(found.counts) if count]
    if mark is not None:
        filled += [p for p in range(len(found.counts)) if found.edges[p] <= mark.value < found.edges[p + 1]]
    first, last = (min(filled), max(filled)) if filled else (0, len(found.counts) - 1)
    return max(0, first - 1), min(len(found.counts) - 1, last + 1)


def _ends(found: Histogram, place: int, write: Callable[[float], str]) -> str:
    if found.open and place == len(found.counts) - 1:
        return f"{write(found.edges[place])} and more"
    return f"{write(found.edges[place])} to {write(found.edges[place + 1])}"


def _bar(left: float, wide: float, share: float, said: str) -> Markup:
    """What is seen, and an area as tall as the figure that can be pointed at."""
    full, base = HEIGHT - BOTTOM - TOP, HEIGHT - BOTTOM
    tall = max(_LOWEST, full * share) if share else 0.0
    size = {"width": f"{max(1.0, wide - _GAP):.1f}", "height": f"{tall:.1f}"}
    shown = tag("rect", x=f"{left + _GAP / 2:.1f}", y=f"{base - tall:.1f}", class_="bar", **size)
    place = {"x": f"{left:.1f}", "y": TOP, "width": f"{wide:.1f}", "height": full}
    return join([shown, tag("rect", tag("title", said), class_="hover", **place)])


def _levels(top: int, total: int) -> Markup:
    """Grid lines at shares of the whole."""
    step = next(
        size
        for size in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1)
        if 4.5 * size >= top / total
    )
    lines, level = [], 0
    while level * step <= top / total * 1.0001:
        y = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * level * step * total / top
        lines.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        lines.append(
            tag("text", f"{100 * level * step:.3g} %", x=LEFT - 7, y=f"{y + 3.5:.1f}", text_anchor="end")
        )
        level += 1
    return join(lines)


def _labels(
    edges: Sequence[float], wide: float, write: Callable[[float], str], centred: bool, open: bool
) -> Markup:
    values = [math.sqrt(a * b) for a, b in pairwise(edges)] if centred else list(edges)
    shift = wide / 2 if centred else 0.0
    stride = next(size for size in _STRIDES if size * _LABELS >= len(values))
    offset = values.index(1.0) % stride if 1.0 in values else 0
    shown = range(offset, len(values) - (1 if open and not centred else 0), stride)
    return join(
        tag(
            "text",
            write(values[i]),
            x=f"{LEFT + shift + wide * i:.1f}",
            y=HEIGHT - BOTTOM + 16,
            text_anchor="middle",
        )
        for i in shown
    )


def _mark(mark: Mark, edges: Sequence[float], wide: float) -> Markup:
    place = next(i for i in range(len(edges) - 1) if edges[i] < mark.value <= edges[i + 1])
    x = LEFT + wide * (place + (mark.value - edges[place]) / (edges[place + 1] - edges[place]))
    end = "end" if x > WIDTH / 2 else "start"
    return join(
        [
            tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=TOP - 2, y2=HEIGHT - BOTTOM, class_="mark"),
            tag(
                "text",
                mark.label,
                x=f"{x + (-5 if end == 'end' else 5):.1f}",
                y=TOP - 4,
                text_anchor=end,
                class_="marked",
            ),
        ]
    )


def figure(title: str, said: str, parts: Sequence[Markup]) -> Markup:
    """A drawing under its title; `said` to those who do not see it."""
    drawing = tag(
        "svg", tag("title", said), *parts, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", class_="chart c0"
    )
    return tag("figure", tag("figcaption", title), drawing)


def short(value: int | float) -> str:
    """A number for an axis: 1,536, 0.25, 12."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
