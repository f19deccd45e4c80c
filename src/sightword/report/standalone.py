"""Floor 7. A chart as an SVG file of its own: white ground, its own colours, no style sheet needed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sightword.report.figures import COLOURS
from sightword.report.markup import Markup, tag, verbatim

_HEAD = 30.0  # room for the title
_EDGE = 12.0
_SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VALUE = re.compile(r"(--[\w-]+):\s*([^;}]+)")
_USED = re.compile(r"var\((--[\w-]+)\)")


def standalone(drawing: Markup, title: str, sheets: Sequence[str]) -> Markup:
    """The file's text.

    Args:
        drawing: a chart with a viewBox.
        title: written above it.
        sheets: style sheets of the page that it was made for; the rules of charts are taken from them with
            the colours of the light page filled in, because not every reader of SVG knows variables.
    """
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    if found is None:
        raise ValueError("a chart needs a viewBox that starts at 0 0")
    width, height = float(found[1]) + 2 * _EDGE, float(found[2]) + _HEAD + _EDGE
    inner = tag("g", _content(drawing), transform=f"translate({_EDGE:g} {_HEAD:g})", class_="chart plot")
    ground = tag("rect", width=f"{width:g}", height=f"{height:g}", fill="#ffffff")
    head = tag("text", title, x=f"{_EDGE:g}", y="18", class_="head")
    return tag(
        "svg",
        tag("style", verbatim(_style(sheets))),
        *(ground, head, inner),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
    )


def _content(drawing: Markup) -> Markup:
    return verbatim(drawing[drawing.index(">") + 1 : drawing.rindex("</svg>")])


def _style(sheets: Sequence[str]) -> str:
    """Rules of charts, once for each colour where they ask for an arm's."""
    light = [
        re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}|/\*.*?\*/", "", s, flags=re.S) for s in sheets
    ]
    rules = [rule for sheet in light for rule in _RULE.findall(sheet)]
    values = {
        name: value.strip()
        for chosen, body in rules
        if ":root" in chosen
        for name, value in _VALUE.findall(body)
    }
    values["--sans"] = _SANS
    lines = [".head{font:600 13px " + _SANS + ";fill:#17191c}"]
    for chosen, body in rules:
        if ".chart" not in chosen:
            continue
        if "var(--run)" not in body:
            lines.append(f"{chosen.strip()}{{{_filled(body, values)}}}")
            continue
        for i in range(COLOURS):
            own = {**values, "--run": values[f"--c{i}"]}
            apart = ",".join(f".c{i} {one.strip().removeprefix('.chart ')}" for one in chosen.split(","))
            lines.append(f"{apart}{{{_filled(body, own)}}}")
    return "\n".join(lines)


def _filled(body: str, values: Mapping[str, str]) -> str:
    return _USED.sub(lambda used: values[used[1]], body).strip()
