"""Small pieces that every part of the page is put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sightword.corpora.stats.says import percent
from sightword.report.markup import Markup, join, tag
from sightword.report.phrases import NONE

_MOST = 30  # rows of a table


def with_code(line: str) -> Markup:
    """A sentence in which commands stand between backticks."""
    parts = line.split("`")
    return join(tag("code", part) if place % 2 else part for place, part in enumerate(parts))


def columns(pieces: Sequence[Markup]) -> Markup:
    """Side by side where there is room."""
    return tag("div", *pieces, class_="pair") if pieces else Markup("")


def shares(title: str, counts: Mapping[str, int], total: int, most: int = _MOST) -> Markup:
    """Names with bars beside their numbers: a table that reads without the bars."""
    top = max(counts.values(), default=1) or 1
    rows = [_share_row(name, count, total, top) for name, count in list(counts.items())[:most]]
    if len(counts) > most:
        rest = f"and {len(counts) - most:,} more"
        rows.append(tag("tr", tag("td", rest, colspan=3, class_="rest")))
    return tag(
        "div", tag("table", tag("caption", title), tag("tbody", *rows), class_="counts"), class_="counted"
    )


def table(title: str, rows: Mapping[str, Sequence[object]], head: Sequence[str] = ()) -> Markup:
    """Rows of cells under a title, scrolled where the window is narrow."""
    lines = (
        tag(
            "tr",
            tag("th", name, scope="row"),
            *(cell if isinstance(cell, Markup) else tag("td", cell) for cell in cells),
        )
        for name, cells in rows.items()
    )
    top = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in head))) if head else ""
    inner = tag("table", tag("caption", title), top, tag("tbody", *lines), class_="facts flags")
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=title)


def _share_row(name: str, count: int, total: int, top: int) -> Markup:
    bar = tag("i", style=f"width:{100 * count / top:.1f}%")
    return tag(
        "tr",
        tag("th", tag("span", name or NONE, title=name), scope="row", dir="auto"),
        tag("td", bar, class_="measure", aria_hidden="true"),
        tag("td", f"{count:,}", tag("small", percent(count / total) if total else "")),
    )
