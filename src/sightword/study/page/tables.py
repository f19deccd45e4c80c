"""Every gain with its interval and corrected p, and every fitted law, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightword.report import phrases
from sightword.report.markup import Markup, join, tag
from sightword.study.analysis.answers import Answer
from sightword.study.analysis.gains import Gain
from sightword.study.analysis.laws import Law
from sightword.study.findings import Findings
from sightword.study.page.looks import arm_name, budget
from sightword.study.wording import measure

_GAINS = ("arm", "pairs", "gain, points", "95 % interval", "seeds", "p", "p after Holm", "")
_LAWS = ("arm", "error that stays", "that falls", "how fast, c", "95 % interval of c")


def gain_tables(findings: Findings, model: str) -> Markup:
    """A table for each question, those that decide unfolded."""
    deciding = {id(answer) for answer in findings.deciding.get(model, ())}
    parts = []
    asked = [answer for answer in findings.answers if answer.question.model == model]
    for answer in sorted(asked, key=lambda one: (id(one) not in deciding, not one.main)):
        rows = [_gain(gain, findings) for arm in answer.arms for gain in arm.gains]
        said = f"{phrases.capital(measure(answer.question))}, {budget(answer.question.budget)}"
        body = (
            table(_GAINS, rows, said) if rows else tag("p", "No two arms have runs in common.", class_="note")
        )
        parts.append(tag("details", tag("summary", said), body, open=id(answer) in deciding))
    return join(parts)


def law_table(answers: Sequence[Answer]) -> Markup:
    """The laws of some questions, folded; nothing where none was fitted."""
    rows = [_law(law, answer) for answer in answers for law in answer.laws]
    if not rows:
        return Markup("")
    note = (
        "error(N) = a + b (N / N₀)⁻ᶜ: a is the error that stays however many pairs there are, b what falls,"
        " at the geometric middle N₀ of the sizes. Where few sizes do not tell a from c, the interval of c"
        " is wide."
    )
    shown = table(_LAWS, rows, "fitted laws")
    return tag("details", tag("summary", "The fitted laws"), tag("p", note, class_="note"), shown)


def table(head: Sequence[str], rows: Sequence[Markup], said: str) -> Markup:
    """A table that scrolls on small screens."""
    top = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in head)))
    inner = tag("table", top, tag("tbody", *rows), class_="facts gains")
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=said)


def p_value(p: float | None) -> str:
    """In digits; a dash where nothing was tested."""
    if p is None:
        return phrases.NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _gain(gain: Gain, findings: Findings) -> Markup:
    found = gain.gain
    cells = (
        phrases.count(gain.size),
        phrases.points(found.value),
        phrases.points_interval(found.low, found.high),
        gain.seeds,
        p_value(gain.p if gain.seeds > 1 else None),
        p_value(gain.adjusted),
        "shown" if gain.shown else "",
    )
    labels = [arm.name for arm in findings.study.arms]
    name = tag("th", arm_name(gain.objective, labels.index(gain.objective)), scope="row")
    return tag("tr", name, *(tag("td", cell) for cell in cells), class_="shown" if gain.shown else None)


def _law(law: Law, answer: Answer) -> Markup:
    low, high = np.quantile(law.samples[:, 2], [0.025, 0.975])
    name = arm_name(law.objective, answer.grid.objectives.index(law.objective))
    cells = (
        phrases.percent(law.a),
        phrases.percent(law.b),
        f"{law.c:.2f}",
        f"{low:.2f} to {high:.2f}",
    )
    about = tag("small", budget(answer.question.budget))
    return tag("tr", tag("th", name, " ", about, scope="row"), *(tag("td", cell) for cell in cells))
