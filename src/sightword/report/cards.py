"""The comparisons as cards: what was equal, who is better, and the differences on one scale."""

from __future__ import annotations

from collections.abc import Sequence

from sightword.evaluation.compare import Difference
from sightword.report import phrases
from sightword.report.fairness import Fair
from sightword.report.figures import interval_strip
from sightword.report.markup import Markup, join, tag
from sightword.report.paired import is_shown, survives
from sightword.report.records import Measure
from sightword.report.verdicts import Verdict, budget, in_common, numbers, price


def cards(verdicts: Sequence[Verdict]) -> Markup:
    """Every comparison side by side."""
    return tag("div", *(_card(verdict) for verdict in verdicts), class_="verdicts")


def _card(verdict: Verdict) -> Markup:
    found = {measure: d for measure, d in verdict.paired.found.items() if measure.is_main}
    return tag(
        "article",
        tag("p", _about(verdict), class_="eyebrow"),
        tag("p", numbers(verdict), class_="says"),
        tag("p", f"{price(verdict.fair)} {in_common(verdict.fair)}", class_="note"),
        _table(verdict.fair, found) if found else "",
        tag("p", _corrected(verdict), class_="note"),
        class_="verdict",
    )


def _about(verdict: Verdict) -> Markup:
    """The budget, and what the headline rests on."""
    measure = verdict.measure if verdict.deciding else None
    on = f", {phrases.metric(measure)} on {phrases.place(measure)}" if measure else ""
    return join([tag("strong", phrases.capital(budget(verdict.fair))), on])


def _table(fair: Fair, found: dict[Measure, Difference]) -> Markup:
    gaps = [d.difference for d in found.values()]
    span = max(max(abs(gap.low), abs(gap.high)) for gap in gaps) or 1.0
    head = tag(
        "tr",
        tag("th", tag("span", "score", class_="sr"), scope="col"),
        tag("th", _sides(fair), scope="col"),
        tag("th", tag("span", f"points in favour of {fair.second.label}", class_="sr"), scope="col"),
    )
    bodies = []
    for place in dict.fromkeys(phrases.place(measure) for measure in found):
        here = [_row(m, d, span) for m, d in found.items() if phrases.place(m) == place]
        title = tag("tr", tag("th", place, scope="rowgroup", colspan=3), class_="group")
        bodies.append(tag("tbody", title, *here))
    return tag("table", tag("thead", head), *bodies)


def _row(measure: Measure, difference: Difference, span: float) -> Markup:
    gap = difference.difference
    return tag(
        "tr",
        tag("th", phrases.capital(phrases.metric(measure)), scope="row"),
        tag("td", interval_strip(gap.value, gap.low, gap.high, span, is_shown(difference))),
        tag(
            "td",
            tag("strong" if is_shown(difference) else "span", phrases.points(gap.value)),
            tag("small", phrases.points_interval(gap.low, gap.high)),
        ),
    )


def _sides(fair: Fair) -> Markup:
    """Which side of zero is whose."""
    left, right = (tag("span", said) for said in (f"← {fair.first.label}", f"→ {fair.second.label}"))
    return tag("span", left, right, class_="legs")


def _corrected(verdict: Verdict) -> str:
    if verdict.paired.problem:
        return f"{phrases.capital(verdict.paired.problem)}."
    tested = [d for d in verdict.paired.found.values() if d.adjusted is not None]
    kept = sum(survives(d) for d in tested)
    if not tested:
        return ""
    return (
        f"Of all {len(tested)} scores that both have, {kept} differ{'s' if kept == 1 else ''} "
        "after Holm's correction over everything that was compared (5 %)."
    )
