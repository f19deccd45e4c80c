"""The verdict: a word for each arm and budget, "undetermined" as large as any other, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from sightword.report import phrases
from sightword.report.figures import interval_strip
from sightword.report.markup import Markup, join, tag
from sightword.study.analysis.verdicts import Verdict
from sightword.study.findings import Findings
from sightword.study.page.looks import arm_name, budget, pairs

WORDS = {1: "Yes, it pays", 0: "Undetermined", -1: "No, it is worse"}
_SIGNS = {1: "M2 7l3 3 6-8", 0: "M1 6q2.5-4 5 0t5 0", -1: "M2 2l8 8M10 2l-8 8"}
_VERBS = {1: ("pays", "pay"), -1: ("is worse", "are worse"), 0: ("is undetermined", "are undetermined")}
_FEW = 2  # arms that the title names


def headline(findings: Findings) -> str:
    """The page's title: what came out for each arm, or of how many."""
    told = [_told(findings, model) for model in findings.study.models if _of(findings, model)]
    return " ".join(told) or "Nothing was scored that the arms have in common."


def cards(findings: Findings, model: str) -> Markup:
    """Of each arm, its verdict at each budget side by side."""
    some = _of(findings, model)
    if not some:
        return Markup("")
    span = max([0.001, *(max(abs(end) for end in ends) for one in some if (ends := _ends(one)))])
    places = {arm.name: place for place, arm in enumerate(findings.study.arms)}
    rows = []
    for arm in dict.fromkeys(one.objective for one in some):
        of = [one for one in some if one.objective == arm]
        rows.append(tag("div", *(_card(one, places[arm], span) for one in of), class_="verdicts"))
    return join(rows)


def _card(one: Verdict, place: int, span: float) -> Markup:
    said, *further = one.sentences()
    sign = tag("svg", tag("path", d=_SIGNS[one.pays]), viewBox="0 0 12 12", aria_hidden="true")
    ends = _ends(one)
    number = one.measured.gain if one.measured else one.predicted
    shown = one.pays != 0
    strip = interval_strip(number.value, *ends, span, shown) if number and ends else Markup("")
    return tag(
        "article",
        tag("p", arm_name(one.objective, place)),
        tag("p", tag("strong", phrases.capital(f"at {budget(one.question.budget)}")), class_="eyebrow"),
        tag("p", sign, tag("span", WORDS[one.pays]), class_="word"),
        tag("p", said, class_="says"),
        strip,
        *(tag("p", sentence, class_="note") for sentence in further),
        class_="verdict",
    )


def _ends(one: Verdict) -> tuple[float, float] | None:
    number = one.measured.gain if one.measured else one.predicted
    return (number.low, number.high) if number else None


def _of(findings: Findings, model: str) -> list[Verdict]:
    return [one for one in findings.verdicts if one.question.model == model]


def _told(findings: Findings, model: str) -> str:
    some = _of(findings, model)
    about = f", {model}" if len(findings.study.models) > 1 else ""
    arms = dict.fromkeys(one.objective for one in some)
    tell = _named if len(arms) <= _FEW else _counted
    told: dict[str, list[str]] = {}
    for of in _by_budget(some):
        told.setdefault(tell(of), []).append(budget(of[0].question.budget))
    said = "; ".join(f"at {phrases.listed(budgets)} {outcome}" for outcome, budgets in told.items())
    return f"With {pairs(some[0].size)}{about}: {said}."


def _named(of: Sequence[Verdict]) -> str:
    """Of one budget: "clip + simclr pays, clip + mae is undetermined"."""
    groups = {side: [one.objective for one in of if one.pays == side] for side in _VERBS}
    return ", ".join(
        f"{phrases.listed(names)} {_verb(side, len(names))}" for side, names in groups.items() if names
    )


def _counted(of: Sequence[Verdict]) -> str:
    """Of one budget: "of 9 arms 2 pay, 3 are worse and 4 are undetermined"."""
    counts = {side: sum(one.pays == side for one in of) for side in _VERBS}
    told = [f"{count} {_verb(side, count)}" for side, count in counts.items() if count]
    return f"of {len(of)} arms {phrases.listed(told)}"


def _verb(side: int, count: int) -> str:
    return _VERBS[side][count > 1]


def _by_budget(some: Sequence[Verdict]) -> list[list[Verdict]]:
    names = dict.fromkeys(one.question.budget for one in some)
    return [[one for one in some if one.question.budget == name] for name in names]
