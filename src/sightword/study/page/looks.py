"""How an arm, a size and a measure look everywhere on the page, and what a figure is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sightword.report import phrases
from sightword.report.figures import COLOURS, Axis, marker
from sightword.report.markup import Markup, tag

SIZE = Axis("pairs learned from", phrases.short_count)
POINTS = Axis(
    "gain in points", lambda value: f"{100 * value:+.3g}".replace("-", phrases.MINUS) if value else "0"
)
ERROR = Axis("error", lambda value: f"{100 * value:.3g}{phrases.THIN}%")
BUDGETS = {"samples": "equal samples", "flops": "equal FLOPs"}
_LONGEST = 24  # letters of a name within a figure


@dataclass(frozen=True)
class Figure:
    """A drawing for the page that is also a file.

    name: of the file, without its ending. title: what it shows. note: below it on the page.
    """

    name: str
    title: str
    drawing: Markup
    note: str = ""

    def shown(self, caption: object = None) -> Markup:
        """On the page."""
        note = tag("p", self.note, class_="note") if self.note else ""
        return tag("figure", tag("figcaption", caption or self.title), self.drawing, note)


def named(figures: Sequence[Figure]) -> list[Figure]:
    """The same, no two of one name."""
    seen: dict[str, int] = {}
    found = []
    for figure in figures:
        count = seen[figure.name] = seen.get(figure.name, 0) + 1
        found.append(figure if count == 1 else replace(figure, name=f"{figure.name}-{count}"))
    return found


def slug(*parts: object) -> str:
    """A name for a file: letters, digits and a few signs."""
    written = "-".join(str(part) for part in parts if str(part))
    return re.sub(r"[^A-Za-z0-9.+=-]+", "_", written.replace(" ", ""))[:120].strip("_")


def arm_name(label: str, place: int) -> Markup:
    """An arm's label with the mark that it has in every figure."""
    mark = tag("svg", marker(place, 6.0, 6.0, 4.6), viewBox="0 0 12 12", aria_hidden="true")
    return tag("span", mark, tag("span", label), class_=f"arm c{place % COLOURS}")


def short(label: str) -> str:
    """A label that fits into a figure."""
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"


def room(labels: Sequence[str]) -> float:
    """How wide labels are right of a figure."""
    return 26.0 + 5.9 * max(len(short(label)) for label in labels)


def budget(name: str) -> str:
    """What the arms have alike."""
    return BUDGETS.get(name, f"equal {name}")


def pairs(size: int | float) -> str:
    """A size in words."""
    return f"{phrases.count(size)} pairs"
