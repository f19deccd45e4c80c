"""A bar for each ratio of `step.py`, its quartiles as a line, drawn as SVG by hand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

LEFT, WIDTH, BAR, GAP = 400, 420, 14, 8
_STYLE = "font-family='sans-serif' font-size='12'"


def chart(records: Sequence[dict[str, Any]]) -> str:
    """Ours in bf16 against each peer; the vertical line is equal speed."""
    rows = [
        (f"{row['objective']}, {row['size']}, {row['rows']} rows, against {peer}", found)
        for record in records
        if record["benchmark"] == "step"
        for row in record["rows"]
        if row["side"] == "ours bf16"
        for peer, found in row["against"].items()
    ]
    most = max((found["quartiles"][1] for _, found in rows), default=1.0)
    scale, height = WIDTH / max(most, 1.0), (BAR + GAP) * max(1, len(rows)) + GAP
    parts = [bar(title, found, GAP + i * (BAR + GAP), scale) for i, (title, found) in enumerate(rows)]
    if not rows:
        parts = [f"<text x='8' y='{BAR + GAP}' fill='#666' {_STYLE}>not measured</text>"]
    even = LEFT + scale
    parts.append(f"<line x1='{even:.1f}' x2='{even:.1f}' y1='0' y2='{height}' stroke='#999'/>")
    size = f"width='{LEFT + WIDTH + 60}' height='{height}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size}>\n" + "\n".join(parts) + "\n</svg>\n"


def bar(title: str, found: dict[str, Any], top: int, scale: float) -> str:
    """One ratio."""
    ratio, (low, high) = found["ratio"], found["quartiles"]
    colour, middle, under = ("#3b7dd8" if ratio > 1 else "#c8553d"), top + BAR / 2, top + BAR - 2
    end, (first, last) = LEFT + ratio * scale, (LEFT + low * scale, LEFT + high * scale)
    return (
        f"<text x='{LEFT - 8}' y='{under}' text-anchor='end' fill='#666' {_STYLE}>{escape(title)}</text>"
        f"<rect x='{LEFT}' y='{top}' width='{ratio * scale:.1f}' height='{BAR}' fill='{colour}'/>"
        f"<line x1='{first:.1f}' x2='{last:.1f}' y1='{middle}' y2='{middle}' stroke='#222' stroke-width='2'/>"
        f"<text x='{max(end, last) + 6:.1f}' y='{under}' fill='#666' {_STYLE}>{ratio:.2f}x</text>"
    )
