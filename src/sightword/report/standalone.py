"""A chart as an SVG file of its own: white ground, its own colours, no style sheet needed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from sightword.report.figures import COLOURS
from sightword.report.markup import Markup, join, tag, verbatim

_EDGE, _LINE = 12.0, 17.0
_LETTER = {"head": 7.2, "foot": 5.9}  # width of a letter
_SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VALUE = re.compile(r"(--[\w-]+):\s*([^;}]+)")
_USED = re.compile(r"var\((--[\w-]+)\)")


def standalone(drawing: Markup, title: str, sheets: Sequence[str], note: str = "") -> Markup:
    """The file's text.

    Args:
        drawing: a chart with a viewBox.
        title: written above it.
        sheets: style sheets of the page that it was made for; the rules of charts are taken from them with
            the colours of the light page filled in, because not every reader of SVG knows variables.
        note: written below it.
    """
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    if found is None:
        raise ValueError("a chart needs a viewBox that starts at 0 0")
    width, tall = float(found[1]) + 2 * _EDGE, float(found[2])
    head, top = _lines(title, width, 0.0, "head")
    foot, height = _lines(note, width, top + tall + _EDGE, "foot")
    inner = tag("g", _content(drawing), transform=f"translate({_EDGE:g} {top:g})", class_="chart plot")
    ground = tag("rect", width=f"{width:g}", height=f"{height:g}", fill="#ffffff")
    return tag(
        "svg",
        tag("style", verbatim(_style(sheets))),
        *(ground, head, inner, foot),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
    )


def _lines(text: str, width: float, top: float, kind: str) -> tuple[Markup, float]:
    """The text in lines that fit, and where what follows may begin."""
    lines = textwrap.wrap(text, int((width - 2 * _EDGE) / _LETTER[kind]), break_on_hyphens=False)
    spots = [
        tag("text", line, x=f"{_EDGE:g}", y=f"{top + _LINE * (i + 1):g}", class_=kind)
        for i, line in enumerate(lines)
    ]
    return join(spots), top + _LINE * len(lines) + _EDGE


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
    plain = {"head": "700 13px", "foot": "11px"}
    lines = [f".{kind}{{font:{font} {_SANS};fill:{values['--ink']}}}" for kind, font in plain.items()]
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
