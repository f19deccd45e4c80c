"""Width and height of pictures as dots, the commoner a size the larger its dot."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from sightword.corpora.stats.charts import Mark, figure
from sightword.report.figures import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from sightword.report.markup import Markup, join, tag

_LABELS = 8  # along an axis, at most
_SMALLEST, _LARGEST = 2.2, 12.0  # radius of a dot


def dots(title: str, points: Sequence[tuple[int, int]], mark: Mark) -> Markup:
    """A figure on scales of doubling.

    Args:
        title: what is shown.
        points: widths and heights.
        mark: the training size: pictures right of and above its corner need not be enlarged.
    """
    values = [side for point in points for side in point] + [round(mark.value)]
    low = max(0, math.ceil(math.log2(min(values))) - 1)
    high = math.floor(math.log2(max(values))) + 1
    across, up = (WIDTH - LEFT - RIGHT) / (high - low), (HEIGHT - BOTTOM - TOP) / (high - low)

    def x(value: int | float) -> float:
        return LEFT + across * (math.log2(value) - low)

    def y(value: int | float) -> float:
        return HEIGHT - BOTTOM - up * (math.log2(value) - low)

    ticks = [2.0**step for step in range(low, high + 1, -(-(high - low) // _LABELS))]
    grid = join(_tick(value, x(value), y(value)) for value in ticks)
    name = tag("text", "width, pixels", x=WIDTH - RIGHT, y=HEIGHT - 5, text_anchor="end", class_="axis-name")
    corner = f"M{x(mark.value):.1f} {TOP}V{y(mark.value):.1f}H{WIDTH - RIGHT:g}"
    marked = tag("path", tag("title", mark.label), d=corner, class_="mark", fill="none")
    cloud = [
        tag(
            "circle",
            tag("title", f"{width} x {height}: {count:,} of {len(points):,} drawn"),
            cx=f"{x(width):.1f}",
            cy=f"{y(height):.1f}",
            r=f"{_SMALLEST + (_LARGEST - _SMALLEST) * math.sqrt(count / len(points)):.1f}",
            class_="spot",
        )
        for (width, height), count in Counter(points).most_common()  # the large ones below
    ]
    said = f"{title}: a dot for each size that occurs; the dashed corner is {mark.label}"
    return figure(title, said, [grid, *cloud, marked, name])


def _tick(value: float, x: float, y: float) -> Markup:
    return join(
        [
            tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"),
            tag("text", f"{value:g}", x=LEFT - 7, y=f"{y + 3.5:.1f}", text_anchor="end"),
            tag("text", f"{value:g}", x=f"{x:.1f}", y=HEIGHT - BOTTOM + 16, text_anchor="middle"),
        ]
    )
