"""Line charts, interval strips and scatter plots as inline SVG that follows the page's theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from sightword.report.markup import Markup, join, tag

WIDTH, HEIGHT = 420.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 14.0, 12.0, 38.0
SHAPES, COLOURS = 4, 7
FEW = 16  # points of a line that get a dot each


@dataclass(frozen=True)
class Series:
    """One line: its points, an optional interval at each, and which of the page's colours it takes."""

    label: str
    xs: Sequence[int | float]
    ys: Sequence[int | float]
    colour: int
    lows: Sequence[int | float] = ()
    highs: Sequence[int | float] = ()


@dataclass(frozen=True)
class Axis:
    """What an axis measures and how its ticks are written."""

    label: str
    write: Callable[[float], str]


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis) -> Markup:
    """Lines over a common axis; every dot can be read by hovering. A long line has one at its end."""
    x_ticks = _ticks([v for s in series for v in s.xs])
    y_ticks = _ticks([v for s in series for v in (*s.ys, *s.lows, *s.highs)])
    across = _scale(x_ticks, LEFT, WIDTH - RIGHT)
    down = _scale(y_ticks, HEIGHT - BOTTOM, TOP)
    marks = join(_line(one, across, down, x, y) for one in reversed(series))
    return tag(
        "svg",
        tag("title", title),
        _y_axis(y_ticks, down, y),
        _x_axis(x_ticks, across, x),
        marks,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        class_="chart",
    )


def thin_out(
    xs: Sequence[int | float], ys: Sequence[int | float], most: int = 160
) -> tuple[list[float], list[float]]:
    """At most `most` points, each the mean of as many neighbours as are needed."""
    stride = -(-len(xs) // most)
    groups = range(0, len(xs), max(stride, 1))
    means = [[sum(v[i : i + stride]) / len(v[i : i + stride]) for i in groups] for v in (xs, ys)]
    return means[0], means[1]


def interval_strip(value: float, low: float, high: float, span: float, shown: bool) -> Markup:
    """One difference with its interval on a strip from -span to span with a line at zero."""

    def at(number: float) -> str:
        return f"{50 + 48 * number / span:.2f}%"

    return tag(
        "svg",
        tag("line", x1="50%", x2="50%", y1="0", y2="26", class_="zero"),
        tag("line", x1=at(low), x2=at(high), y1="13", y2="13", class_="whisker"),
        tag("circle", cx=at(value), cy="13", r="4.5"),
        class_="strip shown" if shown else "strip",
        aria_hidden="true",
    )


def marker(shape: int, x: float, y: float, r: float, said: str = "", **attributes: object) -> Markup:
    """A small mark; its shape repeats what its colour says, for those who do not see the colour."""
    path = (
        f"M{x - r:.1f} {y:.1f}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0z",
        f"M{x - r:.1f} {y - r:.1f}h{2 * r:g}v{2 * r:g}h{-2 * r:g}z",
        f"M{x:.1f} {y - 1.2 * r:.1f}l{1.15 * r:.2f} {2.1 * r:.2f}h{-2.3 * r:.2f}z",
        f"M{x:.1f} {y - 1.3 * r:.1f}l{1.2 * r:.2f} {1.3 * r:.2f}l{-1.2 * r:.2f} {1.3 * r:.2f}"
        f"l{-1.2 * r:.2f} {-1.3 * r:.2f}z",
    )[shape % SHAPES]
    title = [tag("title", said)] if said else []
    return tag("path", *title, d=path, **attributes)


def _ticks(values: Sequence[int | float]) -> list[float]:
    low, high = min(values), max(values)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    return [float(t) for t in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def _scale(ticks: Sequence[float], start: float, stop: float) -> Callable[[float], float]:
    low, high = ticks[0], ticks[-1]
    return lambda value: start + (stop - start) * (value - low) / (high - low)


def _y_axis(ticks: Sequence[float], down: Callable[[float], float], y: Axis) -> Markup:
    lines = (
        join(
            [
                tag(
                    "line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{down(t):.1f}", y2=f"{down(t):.1f}", class_="grid"
                ),
                tag("text", y.write(t), x=LEFT - 7, y=f"{down(t) + 3.5:.1f}", text_anchor="end"),
            ]
        )
        for t in ticks
    )
    return join(lines)


def _x_axis(ticks: Sequence[float], across: Callable[[float], float], x: Axis) -> Markup:
    base = HEIGHT - BOTTOM
    labels = (tag("text", x.write(t), x=f"{across(t):.1f}", y=base + 16, text_anchor="middle") for t in ticks)
    name = tag("text", x.label, x=WIDTH - RIGHT, y=HEIGHT - 5, text_anchor="end", class_="axis-name")
    return join([*labels, name])


def _line(
    one: Series, across: Callable[[float], float], down: Callable[[float], float], x: Axis, y: Axis
) -> Markup:
    spots = [(across(a), down(b)) for a, b in zip(one.xs, one.ys, strict=True)]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in spots)
    parts: list[Markup] = [_band(one, across, down)]
    if len(spots) > 1:
        parts.append(tag("path", tag("title", one.label), d=path, class_="line"))
    dotted = range(len(spots)) if len(spots) <= FEW else [len(spots) - 1]
    for i in dotted:
        said = f"{one.label}: {y.write(one.ys[i])} at {x.write(one.xs[i])} ({x.label})"
        parts.append(marker(one.colour, *spots[i], 4.0, said, class_="dot"))
    return tag("g", *parts, class_=f"c{one.colour % COLOURS}")


def _band(one: Series, across: Callable[[float], float], down: Callable[[float], float]) -> Markup:
    if not one.lows or len(one.xs) < 2:
        return Markup("")
    there = [f"{across(a):.1f} {down(b):.1f}" for a, b in zip(one.xs, one.highs, strict=True)]
    back = [f"{across(a):.1f} {down(b):.1f}" for a, b in zip(one.xs, one.lows, strict=True)]
    return tag("path", d="M" + "L".join(there + back[::-1]) + "z", class_="band")
