"""The runs and their scores as tables, a column for each run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sightword.evaluation.compare import Difference
from sightword.report import phrases
from sightword.report.figures import COLOURS, marker
from sightword.report.markup import Markup, join, tag
from sightword.report.paired import is_shown
from sightword.report.records import Measure, Run, Score, measures

Differences = Mapping[str, Mapping[Measure, Difference]]  # from the first run, by the other run's label


def run_name(run: Run, colour: int) -> Markup:
    """A run's label with the mark that it has in every figure."""
    mark = tag("svg", marker(colour, 6.0, 6.0, 4.6), viewBox="0 0 12 12", aria_hidden="true")
    return tag("span", mark, tag("span", run.label), class_=f"run c{colour % COLOURS}")


def key_to_runs(runs: Sequence[Run]) -> Markup:
    """Which mark is whose."""
    return tag("ul", *(tag("li", run_name(run, i)) for i, run in enumerate(runs)), class_="key")


def runs_table(runs: Sequence[Run], against_first: Differences) -> Markup:
    """What each run was and cost, its main scores, and all scores to unfold.

    Below each score stand its 95 % interval and the paired difference from the first run's, in bold only
    where that difference is shown. No value is ever set in bold for being the largest.
    """
    scored = measures(runs)
    main = [measure for measure in scored if measure.is_main]
    facts = tag("tbody", *_fact_rows(runs))
    table = _table(runs, [facts, *_score_bodies(runs, main, against_first)], "runs and their main scores")
    if len(main) == len(scored):
        return table
    every = _table(runs, _score_bodies(runs, scored, against_first), "all scores")
    return join([table, tag("details", tag("summary", f"All {len(scored)} scores"), every)])


def _table(runs: Sequence[Run], bodies: Iterable[Markup], said: str) -> Markup:
    columns = (tag("th", run_name(run, i), scope="col") for i, run in enumerate(runs))
    head = tag("thead", tag("tr", tag("td"), *columns))
    table = tag("table", head, *bodies, class_="facts")
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=said)


def _fact_rows(runs: Sequence[Run]) -> list[Markup]:
    facts: Mapping[str, Callable[[Run], str | None]] = {
        "objective": lambda run: run.objective,
        "samples seen": lambda run: phrases.count(run.samples),
        "training FLOPs": lambda run: phrases.power(run.flops) if run.flops else None,
        "minutes of training": lambda run: None if run.minutes is None else f"{run.minutes:.1f}",
        "of the machine's measured peak": lambda run: None if run.mfu is None else f"{run.mfu:.0%}",
        "parameters": lambda run: phrases.count(run.parameters) if run.parameters else None,
    }
    return [
        tag("tr", tag("th", name, scope="row"), *(tag("td", value(run) or phrases.NONE) for run in runs))
        for name, value in facts.items()
    ]


def _score_bodies(
    runs: Sequence[Run], scored: Sequence[Measure], against_first: Differences
) -> Iterable[Markup]:
    for place in dict.fromkeys(phrases.place(measure) for measure in scored):
        title = tag("tr", tag("th", place, scope="rowgroup", colspan=len(runs) + 1), class_="group")
        here = [measure for measure in scored if phrases.place(measure) == place]
        yield tag("tbody", title, *(_score_row(runs, measure, against_first) for measure in here))


def _score_row(runs: Sequence[Run], measure: Measure, against_first: Differences) -> Markup:
    differences = (against_first.get(run.label, {}).get(measure) for run in runs)
    cells = (_cell(run, measure, found) for run, found in zip(runs, differences, strict=True))
    about = next((_of_how_many(run.final[measure]) for run in runs if measure in run.final), "")
    return tag("tr", tag("th", phrases.metric(measure), tag("small", about), scope="row"), *cells)


def _of_how_many(score: Score) -> str:
    """How many answers there were to choose from, and how many examples."""
    protocol = score.record.get("protocol")
    known = protocol if isinstance(protocol, Mapping) else {}
    choices = known.get("classes") or known.get("labels")
    among = f"{phrases.count(choices)} {known.get('target', 'classes')}, " if isinstance(choices, int) else ""
    return f"{among}n {phrases.count(score.n)}"


def _cell(run: Run, measure: Measure, difference: Difference | None) -> Markup:
    score = run.final.get(measure)
    if score is None:
        return tag("td", phrases.NONE)
    within = tag("small", phrases.interval(score.low, score.high))
    if difference is None:
        return tag("td", phrases.percent(score.value), within)
    gap = difference.difference
    said = f"{phrases.points(gap.value)} ({phrases.points_interval(gap.low, gap.high)})"
    return tag(
        "td",
        phrases.percent(score.value),
        within,
        tag("small", tag("strong", said) if is_shown(difference) else said),
    )
