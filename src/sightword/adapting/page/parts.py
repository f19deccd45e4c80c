"""The parts of the page in a reader's order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sightword.adapting.asked import ADAPTED, HELD_OUT, START
from sightword.adapting.choice import RULE, Point
from sightword.adapting.findings import Findings
from sightword.adapting.page.curve_figure import curve_figure
from sightword.errors import SightwordError
from sightword.evaluation.compare import Difference, is_shown
from sightword.report import phrases
from sightword.report.evidence import open_shown
from sightword.report.figures import interval_strip
from sightword.report.galleries import Cast, retrieval
from sightword.report.markup import Markup, join, tag
from sightword.report.paired import paired
from sightword.report.records import Measure, Run, read_runs
from sightword.report.sections import Section
from sightword.report.tables import key_to_runs, runs_table
from sightword.statistics import Interval
from sightword.study.holding import TEST
from sightword.study.page.tables import p_value, table

_CHANGES = ("", "before", "after", "change, points", "95 % interval", "p after Holm", "", "")
_MIXED = ("alpha", "your pairs", "95 % interval", "reference", "95 % interval", "change of the reference", "")


def parts(findings: Findings) -> list[Section]:
    """Every part."""
    runs = runs_of(findings)
    return [
        Section("change", "Before and after", _WHERE, _changes(findings, runs), _stand_in(findings)),
        Section("curve", "What was kept, and at what price", _price(findings), _curve(findings)),
        _examples(findings, runs),
        Section(
            "data",
            "The data",
            "",
            _data(findings),
            "" if findings.examined else _UNSEEN,
        ),
        Section("settings", "The settings, and why", "", _settings(findings)),
        Section("limits", "What this page cannot know", "", _listing(_limits(findings))),
        Section("method", "Method and papers", "", _listing(_METHOD)),
    ]


_UNSEEN = "The data were not examined (--no-check)."
_WHERE = (
    "After less before, paired over the same pictures. “Shown” wants an interval without zero and p under 5 %"
    " after"
    " Holm's correction over all rows."
)
_METHOD = (
    "Weights between two models: Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), arXiv"
    " 2109.01903. Everything in the encoders' state is mixed in the same shares, running means and variances"
    " of"
    " batch norms and the logarithm of the temperature included.",
    "Fine-tuning by the loss of pre-training, and its settings: Goyal et al., Finetune like you pretrain"
    " (FLYP),"
    " arXiv 2212.00638.",
    "Recall@5: a caption finds its picture among the five nearest of all test pictures. Intervals are"
    " Wilson's; paired"
    " differences a BCa bootstrap over pictures or captions, p by McNemar's or a sign-flip test.",
    "The reference's number is the mean over its sets, each by zero-shot top-1, or by retrieval where it has"
    " captions"
    " alone; its interval is normal.",
)


def runs_of(findings: Findings) -> list[Run]:
    """Before and after, as the run report reads them."""
    return read_runs([findings.out / START, findings.out / ADAPTED])


def _changes(findings: Findings, runs: Sequence[Run]) -> Markup:
    found = [*findings.own, *findings.reference]
    span = max([0.001, *(abs(end) for one in found for end in (one.difference.low, one.difference.high))])
    rows = [_change(one, span) for one in found]
    every = runs_table(runs, {runs[1].label: paired(*runs).found})
    more = tag("details", tag("summary", "All scores"), key_to_runs(runs), every)
    return join([table(_CHANGES, rows, "changes"), more])


def _change(one: Difference, span: float) -> Markup:
    gap, shown = one.difference, is_shown(one)
    measure = Measure(one.dataset, one.split, one.task, one.metric)
    who = "your test pairs" if one.dataset == TEST else phrases.place(measure)
    name = tag("th", phrases.capital(who), tag("small", phrases.metric(measure)), scope="row")
    cells = (
        phrases.percent(one.first),
        phrases.percent(one.second),
        phrases.points(gap.value),
        phrases.points_interval(gap.low, gap.high),
        p_value(one.adjusted),
        interval_strip(gap.value, gap.low, gap.high, span, shown),
        "shown" if shown else "not shown",
    )
    return tag("tr", name, *(tag("td", cell) for cell in cells), class_="shown" if shown else None)


def _stand_in(findings: Findings) -> str:
    if not findings.demo_alone:
        return ""
    return (
        "The reference is the embedded emoji, as no --reference was given: a small stand-in that says little"
        " of"
        " photographs. Give sets that the weights should stay good at."
    )


def _price(findings: Findings) -> str:
    tolerance = phrases.points(findings.asked.tolerance).lstrip("+")
    return (
        f"Chosen: {RULE}. The tolerance is {tolerance} points. Filled marks are allowed, hollow ones are not."
    )


def _curve(findings: Findings) -> Markup:
    drawn = curve_figure(findings.points, findings.chosen, findings.asked.tolerance)
    rows = [_mixed(point, findings) for point in findings.points]
    return join([drawn, tag("details", tag("summary", "The numbers"), table(_MIXED, rows, "mixtures"))])


def _mixed(point: Point, findings: Findings) -> Markup:
    chosen = point == findings.chosen
    allowed = point.allowed(findings.asked.tolerance)
    gain = point.reference_gain
    cells = (
        *_number(point.own),
        *_number(point.reference),
        f"{phrases.points(gain.value)} ({phrases.points_interval(gain.low, gain.high)})",
        "chosen" if chosen else "" if allowed else f"loses too much, most surely on {point.worst}",
    )
    name = tag("th", f"{point.alpha:g}", scope="row")
    return tag("tr", name, *(tag("td", cell) for cell in cells), class_="shown" if chosen else None)


def _number(found: Interval) -> tuple[str, str]:
    return phrases.percent(found.value), phrases.interval(found.low, found.high)


def _examples(findings: Findings, runs: Sequence[Run]) -> Section:
    place = str(findings.out / HELD_OUT / TEST)
    try:
        shown = open_shown(Measure(TEST, "test", "retrieval", ""), place)
    except SightwordError as error:
        return Section("retrieval", "From words to pictures", "", Markup(""), f"No pictures: {error}.")
    return retrieval(Cast(runs, [0, 1], shown))


def _data(findings: Findings) -> Markup:
    held, found = findings.held, findings.examined
    rows = {
        "from": findings.asked.config.data.path,
        "pairs": phrases.count(found.pairs) if found else "",
        "different captions": phrases.count(found.different) if found else "",
        "learned from": phrases.count(findings.start["pairs"]) if "pairs" in findings.start else "",
        "validation": f"{phrases.count(held.validation)} pictures, on which the step and alpha were chosen",
        "test": f"{phrases.count(held.test)} pictures, tested on {_times(findings.looks)} after adapting",
        "left out of both": f"{phrases.count(held.leaked)} that training has, or their like"
        if held.leaked
        else "",
    }
    shown = ([tag("dt", name), tag("dd", value)] for name, value in rows.items() if value)
    notes = _listing(found.notes) if found and found.notes else Markup("")
    nothing = tag("p", "Nothing else was found.") if found and not found.notes else ""
    return join([tag("dl", *(part for row in shown for part in row)), notes, nothing, _warned(findings)])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times, so the last is a little optimistic"


def _warned(findings: Findings) -> Markup:
    if not findings.warnings:
        return Markup("")
    head = tag("h3", "Told while it trained")
    return tag("div", head, tag("ul", *(tag("li", one) for one in findings.warnings)), class_="warned")


def _settings(findings: Findings) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", tag("code", one.name), scope="row"),
            tag("td", one.value),
            tag("td", one.reason, class_="why"),
        )
        for one in findings.settings
    ]
    found = table(("setting", "value", "why"), rows, "settings")
    return tag("div", found, class_="settings")


def _limits(findings: Findings) -> list[str]:
    told = [
        "It is one run with one seed. Another seed gives another run; the intervals hold the chance of which"
        " pictures"
        " are tested on, not that.",
        "The step of the run and alpha were chosen on the validation pairs and, for what is allowed, on the"
        " reference:"
        " their numbers in the curve are a little too good. Those of the test pairs are not.",
        "“Not shown to lose” is no proof of no loss: the smaller the reference, the more can be lost unseen.",
        "Retrieval says how well captions and pictures find each other; it need not say how well your task"
        " will go.",
    ]
    return [*told, phrases.capital(findings.best)] if findings.best else told


def _listing(items: Iterable[str]) -> Markup:
    return tag("ul", *(tag("li", item) for item in items), class_="listing")
