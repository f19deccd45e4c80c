"""What happened during training: scores and each term's loss, over samples and over FLOPs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sightword.report import phrases
from sightword.report.figures import Axis, Series, line_chart, thin_out
from sightword.report.markup import Markup, join, tag
from sightword.report.records import Measure, Run

SAMPLES = Axis("samples seen", phrases.short_count)
PERCENT = Axis("", lambda value: f"{100 * value:.3g}{phrases.THIN}%")
NUMBER = Axis("", lambda value: f"{value:.3g}")
_MEASURED: dict[str, tuple[str, ...]] = {
    "effective rank of the image tower's features": ("features", "effective_rank"),
    "spread of the image tower's features": ("features", "spread"),
    "distance of picture and caption (alignment)": ("features", "alignment"),
    "uniformity of pictures": ("features", "image_uniformity"),
    "uniformity of captions": ("features", "text_uniformity"),
    "logit scale": ("logit_scale",),
}
_LEGEND = (
    "Effective rank (RankMe) is 1 where all features lie in one direction; spread is 0 where they are all "
    "one and 1 where they lie all around the sphere. Alignment is 0 for pairs that agree and 2 for unrelated "
    "ones; uniformity is 0 where all features are one and near \u22124 where they are evenly spread. Below a "
    "cosine of 0, what lowers one term raises the other."
)


def curves(runs: Sequence[Run]) -> Markup:
    """Two charts (over samples, over FLOPs) for each thing that was followed; empty when nothing was."""
    taken = dict.fromkeys(score.measure for run in runs for score in (*run.watched, *run.scores))
    followed = [_scores_row(runs, measure) for measure in taken if measure.is_main]
    terms = dict.fromkeys(name for run in runs for step in run.steps for name in step.get("terms", {}))
    losses = (_number_row(runs, f"loss of {term}", ("terms", term, "loss")) for term in terms)
    return join([*followed, *losses, _health(runs)])


def _health(runs: Sequence[Run]) -> Markup:
    """What training measured beside losses, to unfold."""
    cosines = (step.get("grad_cosines", {}) for run in runs for step in run.steps)
    pairs = dict.fromkeys((a, b) for found in cosines for a, row in found.items() for b in row)
    places = _MEASURED | {f"cosine of the gradients of {a} and {b}": ("grad_cosines", a, b) for a, b in pairs}
    drawn = join(_number_row(runs, title, place) for title, place in places.items())
    if not drawn:
        return drawn
    return tag("details", tag("summary", "Features and gradients"), tag("p", _LEGEND, class_="note"), drawn)


def _scores_row(runs: Sequence[Run], measure: Measure) -> Markup:
    title = f"{phrases.metric(measure)} ({phrases.place(measure)})"
    return _row(title, PERCENT, *(_scores(runs, measure, over) for over in ("samples", "flops")))


def _number_row(runs: Sequence[Run], title: str, place: Sequence[str]) -> Markup:
    """A number of the steps' records, by where it stands in them."""
    return _row(title, NUMBER, *(_numbers(runs, place, over) for over in ("samples", "flops")))


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


def _numbers(runs: Sequence[Run], place: Sequence[str], over: str) -> list[Series]:
    lines = []
    for colour, run in enumerate(runs):
        found = [(step[over], _at(step, place)) for step in run.steps]
        kept = [(x, y) for x, y in found if _finite(y)]
        if kept:
            xs, ys = thin_out([x for x, _ in kept], [y for _, y in kept])
            lines.append(Series(run.label, xs, ys, colour))
    return lines


def _at(record: Any, place: Sequence[str]) -> Any:
    """What stands at a place of a nested record; None where nothing does."""
    for name in place:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
