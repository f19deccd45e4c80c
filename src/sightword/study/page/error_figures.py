"""Each arm's error against size, both logarithmic: every seed, the mean, and the fitted law with its band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightword.report import phrases
from sightword.report.markup import Markup
from sightword.report.plots import Field, band, chart, curve, field, labels, spot, zone
from sightword.study.analysis.answers import Answer
from sightword.study.analysis.crossovers import REACH
from sightword.study.analysis.laws import Law
from sightword.study.page.looks import ERROR, SIZE, Figure, budget, room, short, slug
from sightword.study.page.seed_dots import seed_dots
from sightword.study.wording import measure

_AIR = 10**0.12
_STEPS = 24  # of a decade


def error_figures(answers: Sequence[Answer]) -> list[Figure]:
    """A figure for each budget, all on the same axes."""
    sizes = [size for answer in answers for size in answer.grid.sizes]
    fitted = any(answer.laws for answer in answers)
    across = (min(sizes) / _AIR, max(sizes) * (10**REACH if fitted else _AIR))
    up = _up(answers, across[1])
    return [_figure(answer, across, up) for answer in answers]


def _figure(answer: Answer, across: tuple[float, float], up: tuple[float, float]) -> Figure:
    asked, area = (
        answer.question,
        field(across, up, SIZE, ERROR, log_y=True, right=room(answer.grid.objectives)),
    )
    title = f"Error, {budget(asked.budget)}: {measure(asked)}, {asked.model}"
    beyond = [zone(area, max(answer.grid.sizes), across[1], "extrapolated")] if answer.laws else []
    places = {objective: place for place, objective in enumerate(answer.grid.objectives)}
    fits = [part for law in answer.laws for part in _law(area, law, places[law.objective], answer.grid.sizes)]
    marks = [part for place in reversed(range(len(places))) for part in _marks(area, answer, place)]
    name = slug("error", asked.model, asked.task, "" if asked.is_mean else asked.dataset, asked.budget)
    layers = [*beyond, *fits, *marks, labels(area, _ends(answer, across[1]))]
    return Figure(name, title, chart(title, area, layers))


def _up(answers: Sequence[Answer], last: float) -> tuple[float, float]:
    errors = np.concatenate([1 - answer.grid.values[np.isfinite(answer.grid.values)] for answer in answers])
    ends = [float(law.error(np.array([last]))[0]) for answer in answers for law in answer.laws]
    known = [float(error) for error in (*errors, *ends) if error > 0]
    low, high = (min(known), max(known)) if known else (0.01, 1.0)
    return low / 1.12, min(high * 1.12, 1.02)  # no error is above 100 %


def _law(area: Field, law: Law, place: int, sizes: Sequence[int]) -> list[Markup]:
    """The fit from the smallest size that was run to one decade beyond the largest."""
    first, last = float(min(sizes)), float(max(sizes))
    xs = np.geomspace(first, area.x.high, int(np.ceil(_STEPS * np.log10(area.x.high / first))) + 1)
    low, high = law.band(xs)
    parts = [band(area, xs.tolist(), low.tolist(), high.tolist(), place)]
    within = np.append(xs[xs < last], last)
    for some, guessed in ((within, False), (np.append(last, xs[xs > last]), True)):
        parts.append(curve(area, some.tolist(), law.error(some).tolist(), place, place, guessed))
    return parts


def _marks(area: Field, answer: Answer, place: int) -> list[Markup]:
    """Every seed faint, their mean plain."""
    errors, name = 1 - answer.grid.values[place], answer.grid.objectives[place]
    parts = seed_dots(area, answer.grid, errors, place, phrases.percent)
    for size, row in zip(answer.grid.sizes, errors, strict=True):
        seen = row[np.isfinite(row)]
        if not len(seen):
            continue
        mean = float(seen.mean())
        told = f"{name} at {phrases.count(size)} pairs: {phrases.percent(mean)} ({len(seen)} seeds)"
        parts.append(spot(area, size, mean, place, told))
    return parts


def _ends(answer: Answer, last: float) -> list[tuple[str, float, int]]:
    """Where each arm's line ends, or its last point where it has none."""
    fits = {law.objective: float(law.error(np.array([last]))[0]) for law in answer.laws}
    ends = []
    for place, objective in enumerate(answer.grid.objectives):
        means = [row[np.isfinite(row)].mean() for row in answer.grid.values[place] if np.isfinite(row).any()]
        if objective in fits or means:
            ends.append(
                (short(objective), fits.get(objective, 1 - float(means[-1]) if means else 0.0), place)
            )
    return ends
