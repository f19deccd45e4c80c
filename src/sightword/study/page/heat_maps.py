"""Gains by data set and arm: a number with its sign in every cell, framed and bold where it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightword.report import phrases
from sightword.report.markup import Markup, join, tag
from sightword.study.analysis.answers import Answer
from sightword.study.analysis.gains import Gain
from sightword.study.findings import DECIDING, Findings
from sightword.study.page.looks import Figure, budget, pairs, short, slug
from sightword.study.wording import measure

_CELL, _HIGH = 72.0, 27.0
_LETTER, _LONGEST = 6.1, 40  # width of a letter, letters of a name
_NOTE = "Framed and bold: shown after Holm's correction."
_DEEPEST = 0.55  # opacity of the largest gain
_LEAST = 0.02  # a gain of so much is the darkest when none is larger


@dataclass(frozen=True)
class Row:
    """A data set's gains, one for each arm; None where there are no paired runs."""

    name: str
    gains: tuple[Gain | None, ...]
    strong: bool


def heat_maps(findings: Findings, model: str, size: int) -> list[Figure]:
    """A map for each budget, at one size."""
    found = []
    for name in findings.study.budgets:
        answers = [a for a in findings.answers if (a.question.model, a.question.budget) == (model, name)]
        rows = [_row(answer, size) for answer in _own(findings, answers)]
        if any(gain for row in rows for gain in row.gains):
            arms = [arm.name for arm in findings.study.arms[1:]]
            over = f"Gain in points over {findings.study.baseline.name}"
            title = f"{over} at {pairs(size)}, {budget(name)}, {model}"
            found.append(Figure(slug("heat", model, name, size), title, _drawing(title, rows, arms), _NOTE))
    return found


def _own(findings: Findings, answers: Sequence[Answer]) -> list[Answer]:
    """Each data set's own metric and each task's mean, task by task."""
    own = {point.question for point in findings.points if point.headline}
    kept = [answer for answer in answers if answer.question.is_mean or answer.question in own]
    tasks = list(dict.fromkeys((*DECIDING, *(answer.question.task for answer in kept))))
    return sorted(kept, key=lambda a: (tasks.index(a.question.task), not a.question.is_mean))


def _row(answer: Answer, size: int) -> Row:
    gains = [next((gain for gain in arm.gains if gain.size == size), None) for arm in answer.arms]
    return Row(phrases.capital(measure(answer.question)), tuple(gains), answer.question.is_mean)


def _drawing(title: str, rows: Sequence[Row], arms: Sequence[str]) -> Markup:
    most = max([_LEAST, *(abs(gain.gain.value) for row in rows for gain in row.gains if gain)])
    left = 18 + _LETTER * max(len(_cut(row.name)) for row in rows)
    top = 22 + 0.54 * _LETTER * max(len(short(arm)) for arm in arms)
    width = left + _CELL * len(arms) + 0.85 * _LETTER * max(len(short(arm)) for arm in arms) - _CELL / 3
    heads = (_head(arm, left + _CELL * (i + 0.5), top) for i, arm in enumerate(arms))
    lines = (_line(row, left, top + _HIGH * i, most, arms) for i, row in enumerate(rows))
    high = top + _HIGH * len(rows) + 4
    return tag(
        "svg",
        tag("title", title),
        *heads,
        *lines,
        viewBox=f"0 0 {width:g} {high:g}",
        width=f"{width:g}",
        height=f"{high:g}",
        role="img",
        class_="chart plot",
    )


def _head(arm: str, x: float, top: float) -> Markup:
    place = {"x": f"{x:.1f}", "y": f"{top - 8:.1f}", "transform": f"rotate(-32 {x:.1f} {top - 8:.1f})"}
    return tag("text", tag("title", arm), short(arm), class_="said", **place)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _line(row: Row, left: float, top: float, most: float, arms: Sequence[str]) -> Markup:
    middle = f"{top + _HIGH / 2 + 4:.1f}"
    kind = "number strong" if row.strong else "number"
    place = {"x": f"{left - 10:.1f}", "y": middle, "text_anchor": "end"}
    label = tag("text", tag("title", row.name), _cut(row.name), class_=kind, **place)
    cells = (_cell(row, i, left + _CELL * i, top, most, arms[i]) for i in range(len(arms)))
    return join([label, *cells])


def _cell(row: Row, i: int, x: float, top: float, most: float, arm: str) -> Markup:
    gain = row.gains[i]
    middle = {"x": f"{x + _CELL / 2:.1f}", "y": f"{top + _HIGH / 2 + 4:.1f}", "text_anchor": "middle"}
    place = {
        "x": f"{x + 1:.1f}",
        "y": f"{top + 1:.1f}",
        "width": f"{_CELL - 2:g}",
        "height": f"{_HIGH - 2:g}",
    }
    if gain is None:
        return join(
            [tag("rect", class_="cell", **place), tag("text", phrases.NONE, class_="number none", **middle)]
        )
    value = gain.gain.value
    ends = phrases.points_interval(gain.gain.low, gain.gain.high)
    said = f"{row.name}, {arm}: {phrases.points(value)} ({ends}), {'shown' if gain.shown else 'not shown'}"
    depth = {"fill_opacity": f"{_DEEPEST * abs(value) / most:.3f}"}
    side = tag("rect", class_="more" if value > 0 else "less", **depth, **place)
    frame = tag("rect", class_="frame", rx="3", **place) if gain.shown else Markup("")
    written = phrases.points(value)
    text = tag(
        "text", tag("title", said), written, class_="number shown" if gain.shown else "number", **middle
    )
    return join([tag("rect", class_="cell", **place), side, frame, text])
