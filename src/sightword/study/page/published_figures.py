"""Published results on the same axis of sizes as the study's own: for the shape only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightword.report import phrases
from sightword.report.figures import COLOURS
from sightword.report.markup import Markup
from sightword.report.plots import Field, chart, field, level, padded, spot
from sightword.study.analysis.answers import Answer
from sightword.study.analysis.published import Anchor, Published
from sightword.study.page.looks import ERROR, POINTS, SIZE, Figure, slug
from sightword.study.wording import measure

TASK = "zeroshot"  # ImageNet, of the published ones
WARNING = (
    "Hollow: published; other data, other models, other metric: for the shape only. Grey: objectives that"
    " this study does not have."
)


def published_figures(answer: Answer, published: Published) -> list[Figure]:
    """Error and gain of the study's arms (filled) and of the papers' (hollow).

    Args:
        answer: to the question that decides, at equal samples, which is the papers' budget.
        published: what was measured elsewhere.
    """
    anchors = [one for one in published.anchors if one.value(TASK) is not None]
    models = dict.fromkeys(one.model for one in anchors)
    gains = [found for model in models for found in published.gains(TASK, model)]
    asked = answer.question
    about = f"{measure(asked)}, {asked.model} (filled), and published zero-shot accuracy on ImageNet (hollow)"
    sizes = [*answer.grid.sizes, *(one.size for one in anchors)]
    across = (min(sizes) / 1.5, max(sizes) * 1.5)
    return [
        _errors(answer, anchors, across, f"Error: {about}"),
        _gains(answer, gains, across, f"Gain over the first: {about}"),
    ]


def _errors(answer: Answer, anchors: Sequence[Anchor], across: tuple[float, float], title: str) -> Figure:
    own = [1 - answer.grid.values[place] for place in range(len(answer.grid.objectives))]
    finite = [float(error) for one in own for error in one[np.isfinite(one)]]
    known = [error for error in (*finite, *(1 - (one.value(TASK) or 0.0) for one in anchors)) if error > 0]
    up = (min(known) / 1.12, min(max(known) * 1.12, 1.02))  # no error is above 100 %
    area = field(across, up, SIZE, ERROR, log_y=True)
    marks = [_anchor(area, answer, one, 1 - (one.value(TASK) or 0.0), "error") for one in anchors]
    for place, errors in enumerate(own):
        for size, row in zip(answer.grid.sizes, errors, strict=True):
            if np.isfinite(row).any():
                mean = float(row[np.isfinite(row)].mean())
                told = (
                    f"{answer.grid.objectives[place]} at {phrases.count(size)} pairs: {phrases.percent(mean)}"
                )
                marks.append(spot(area, size, mean, place, told))
    return Figure(slug("published-error", answer.question.model), title, chart(title, area, marks), WARNING)


def _gains(
    answer: Answer, gains: Sequence[tuple[Anchor, float]], across: tuple[float, float], title: str
) -> Figure:
    own = [(place, gain) for place, arm in enumerate(answer.arms, 1) for gain in arm.gains]
    values = [0.0, *(value for _, value in gains), *(gain.gain.value for _, gain in own)]
    area = field(across, padded(values), SIZE, POINTS)
    marks = [level(area, 0.0), *(_anchor(area, answer, one, value, "gain") for one, value in gains)]
    for place, gain in own:
        told = f"{gain.objective} at {phrases.count(gain.size)} pairs: {phrases.points(gain.gain.value)}"
        marks.append(spot(area, gain.size, gain.gain.value, place, told))
    return Figure(slug("published-gain", answer.question.model), title, chart(title, area, marks), WARNING)


def _anchor(area: Field, answer: Answer, one: Anchor, value: float, what: str) -> Markup:
    """Hollow; in the colour and shape of the study's arm of that name, where there is one."""
    names = answer.grid.objectives
    place = names.index(one.objective) if one.objective in names else COLOURS - 1
    number = phrases.percent(value) if what == "error" else phrases.points(value)
    told = f"{one.paper}: {one.objective}, {one.model}, {one.corpus}, {one.epochs} epochs: {what} {number}"
    return spot(area, one.size, value, place, told, hollow=True, size=5.0)
