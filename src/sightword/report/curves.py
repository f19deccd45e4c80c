"""Floor 7. What happened during training: scores and each term's loss, over samples and over FLOPs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sightword.report import phrases
from sightword.report.figures import Axis, Series, line_chart, thin_out
from sightword.report.markup import Markup, join, tag
from sightword.report.records import Measure, Run

SAMPLES = Axis("samples seen", phrases.short_count)
PERCENT = Axis("", lambda value: f"{100 * value:.3g}{phrases.THIN}%")
LOSS = Axis("", lambda value: f"{value:.3g}")


def curves(runs: Sequence[Run]) -> Markup:
    """Two charts (over samples, over FLOPs) for each thing that was followed; empty when nothing was."""
    taken = dict.fromkeys(score.measure for run in runs for score in (*run.watched, *run.scores))
    followed = [_scores_row(runs, measure) for measure in taken if measure.is_main]
    terms = dict.fromkeys(name for run in runs for step in run.steps for name in step.get("terms", {}))
    return join([*followed, *(_loss_row(runs, term) for term in terms)])


def _scores_row(runs: Sequence[Run], measure: Measure) -> Markup:
    title = f"{phrases.metric(measure)} ({phrases.place(measure)})"
    return _row(title, PERCENT, *(_scores(runs, measure, over) for over in ("samples", "flops")))


def _loss_row(runs: Sequence[Run], term: str) -> Markup:
    return _row(f"loss of {term}", LOSS, *(_losses(runs, term, over) for over in ("samples", "flops")))


def _row(title: str, y: Axis, over_samples: list[Series], over_flops: list[Series]) -> Markup:
    if not over_samples:
        return Markup("")
    title = phrases.capital(title)
    return tag(
        "figure",
        tag("figcaption", title),
        tag(
            "div",
            line_chart(f"{title} over samples seen", over_samples, SAMPLES, y),
            line_chart(f"{title} over training FLOPs", over_flops, _flops(over_flops), y),
            class_="pair",
        ),
    )


def _flops(series: Sequence[Series]) -> Axis:
    """FLOPs in units of a power of ten that stands in the axis's name, so that ticks stay short."""
    most = max(x for one in series for x in one.xs)
    exponent = math.floor(math.log10(most)) if most > 0 else 0
    unit = phrases.power(10.0**exponent).split(" ")[-1]
    return Axis(f"training FLOPs, {phrases.TIMES} {unit}", lambda value: f"{value / 10.0**exponent:.3g}")


def _scores(runs: Sequence[Run], measure: Measure, over: str) -> list[Series]:
    """Scores taken during training: only runs that were scored at more than one step have a curve."""
    lines = []
    for colour, run in enumerate(runs):
        by_step = {score.step: score for score in (*run.watched, *run.scores) if score.measure == measure}
        taken = [by_step[step] for step in sorted(by_step)]
        if len(taken) > 1:
            lines.append(
                Series(
                    run.label,
                    [getattr(score, over) for score in taken],
                    [score.value for score in taken],
                    colour,
                    [score.low for score in taken],
                    [score.high for score in taken],
                )
            )
    return lines


def _losses(runs: Sequence[Run], term: str, over: str) -> list[Series]:
    lines = []
    for colour, run in enumerate(runs):
        steps = [step for step in run.steps if _finite(step.get("terms", {}).get(term, {}).get("loss"))]
        if steps:
            xs, ys = thin_out([step[over] for step in steps], [step["terms"][term]["loss"] for step in steps])
            lines.append(Series(run.label, xs, ys, colour))
    return lines


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
