"""The gain of each arm over the first against size: points, the curve's band, and where it crosses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

from sightword.report import phrases
from sightword.report.markup import Markup
from sightword.report.plots import Field, band, chart, curve, field, level, padded, spot, stretch, zone
from sightword.study.analysis.answers import Answer, ArmAnswer
from sightword.study.analysis.crossovers import REACH
from sightword.study.analysis.gains import Gain
from sightword.study.page.looks import POINTS, SIZE, Figure, budget, slug
from sightword.study.page.seed_dots import seed_dots
from sightword.study.wording import measure

SHARES = np.array([0.025, 0.5, 0.975])
_STEPS = 12  # of a decade
_AIR = 10**0.12


def gain_figures(answers: Sequence[Answer]) -> list[list[Figure]]:
    """A figure of each arm and budget, all on the same axes: a list for each arm.

    Args:
        answers: to one question of one model, one for each budget.
    """
    across, up = _across(answers), _up(answers)
    arms = range(len(answers[0].arms))
    return [[_figure(answer, place, across, up) for answer in answers] for place in arms]


@lru_cache(maxsize=512)
def band_of(arm: ArmAnswer) -> Float64[np.ndarray, "4 n"] | None:
    """Sizes as far as the curve reaches, and its 2.5, 50 and 97.5 % there; every size that was run is one."""
    if arm.curve is None:
        return None
    run = arm.curve.sizes
    start, stop = run[0] / 10**REACH, run[-1] * 10**REACH
    sizes = np.unique([*np.geomspace(start, stop, int(np.ceil(_STEPS * np.log10(stop / start)))), *run])
    return np.stack([sizes, *arm.curve.quantiles(sizes, SHARES)])


def _figure(answer: Answer, place: int, across: tuple[float, float], up: tuple[float, float]) -> Figure:
    arm, asked = answer.arms[place], answer.question
    area = field(across, up, SIZE, POINTS)
    title = f"{arm.objective} less {arm.baseline}, {budget(asked.budget)}: {measure(asked)}, {asked.model}"
    crosses = _crossing(area, arm)
    layers = [
        *_zones(area, arm),
        level(area, 0.0),
        *_curve(area, arm, place + 1),
        *_points(area, answer, place),
    ]
    name = slug(
        "gain", asked.model, asked.task, "" if asked.is_mean else asked.dataset, asked.budget, arm.objective
    )
    return Figure(name, title, chart(title, area, [*layers, crosses]))


def _across(answers: Sequence[Answer]) -> tuple[float, float]:
    """A decade beyond the largest size where there is a curve; below the smallest only to a crossover."""
    sizes = [size for answer in answers for size in answer.grid.sizes]
    low, high = min(sizes) / _AIR, max(sizes) * _AIR
    for arm in (arm for answer in answers for arm in answer.arms):
        if arm.curve is not None:
            high = max(high, float(arm.curve.sizes[-1]) * 10**REACH)
        if arm.crossover is not None and arm.crossover.size is not None:
            low = min(low, arm.crossover.size.low / _AIR)
    return low, high


def _up(answers: Sequence[Answer]) -> tuple[float, float]:
    """All that was measured, and what the curves say within the sizes that were run."""
    values = [0.0]
    for arm in (arm for answer in answers for arm in answer.arms):
        values += [end for gain in arm.gains for end in (gain.gain.low, gain.gain.high)]
        found = band_of(arm)
        if found is not None and arm.curve is not None:
            values += found[1:, np.isin(found[0], arm.curve.sizes)].ravel().tolist()
    return padded(values)


def _zones(area: Field, arm: ArmAnswer) -> list[Markup]:
    """What was not run."""
    run = [gain.size for gain in arm.gains] if arm.curve is None else arm.curve.sizes.tolist()
    if not run or arm.curve is None:
        return []
    return [
        zone(area, area.x.low, min(run), "extrapolated"),
        zone(area, max(run), area.x.high, "extrapolated"),
    ]


def _curve(area: Field, arm: ArmAnswer, colour: int) -> list[Markup]:
    found = band_of(arm)
    if found is None or arm.curve is None:
        return []
    xs, low, middle, high = found[:, (found[0] >= area.x.low) & (found[0] <= area.x.high * (1 + 1e-9))]
    parts = [band(area, xs.tolist(), low.tolist(), high.tolist(), colour)]
    below, above = xs <= arm.curve.sizes[0], xs >= arm.curve.sizes[-1]
    within = (xs >= arm.curve.sizes[0]) & (xs <= arm.curve.sizes[-1])
    for some, guessed in ((below, True), (within, False), (above, True)):
        parts.append(curve(area, xs[some].tolist(), middle[some].tolist(), colour, guessed=guessed))
    return parts


def _points(area: Field, answer: Answer, place: int) -> list[Markup]:
    """Each size's gain with its interval: filled where it is shown; each seed faint beside it."""
    arm = answer.arms[place]
    differences = answer.grid.values[answer.grid.objectives.index(arm.objective)] - answer.grid.values[0]
    faint = seed_dots(area, answer.grid, differences, place + 1, phrases.points)
    marks = [
        spot(
            *(area, gain.size, gain.gain.value, place + 1, said(gain)),
            ends=(gain.gain.low, gain.gain.high),
            hollow=not gain.shown,
        )
        for gain in arm.gains
    ]
    return [*faint, *marks]


def said(gain: Gain) -> str:
    """A gain in words."""
    found = gain.gain
    number = f"{phrases.points(found.value)} ({phrases.points_interval(found.low, found.high)})"
    return f"{gain.objective} at {phrases.count(gain.size)} pairs: {number}{', shown' if gain.shown else ''}"


def _crossing(area: Field, arm: ArmAnswer) -> Markup:
    found = arm.crossover
    if found is None or found.size is None:
        return Markup("")
    at = found.size
    return stretch(area, at.low, at.high, at.value, f"crossover at {phrases.count(float(f'{at.value:.3g}'))}")
