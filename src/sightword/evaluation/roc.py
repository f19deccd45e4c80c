"""The area under the ROC curve: how often a positive is scored above a negative, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from sightword.statistics import Interval, standard_error

_Z = float(norm.isf(0.025))


@dataclass(frozen=True, eq=False)
class Area:
    """An area, and what each example adds to it.

    value: the area; a tie of a positive and a negative counts half.
    influences: DeLong's structural components, centred and weighted so that their squares sum to his
        variance (DeLong, DeLong and Clarke-Pearson 1988, equations 4 to 6), shape (n,).
    positives, negatives: how many units (examples, or clusters that hold one) there are of each.
    """

    value: float
    influences: Float64[np.ndarray, " n"]
    positives: int
    negatives: int


def area(
    scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"], clusters: npt.ArrayLike | None = None
) -> Area:
    """The area under the ROC curve.

    Args:
        scores: higher where an example is more likely positive; only their order counts.
        positive: which examples are.
        clusters: the name of each example's cluster.

    Raises:
        ValueError: unless there are positives and negatives.
    """
    up, down = int(positive.sum()), int((~positive).sum())
    if not up or not down:
        raise ValueError(f"an ROC curve needs positives and negatives, found {up} and {down}")
    among_all = rankdata(scores)  # ties share their mean rank (Sun and Xu 2014, algorithm 2)
    parts = np.empty(len(scores))
    parts[positive] = (among_all[positive] - rankdata(scores[positive])) / down
    parts[~positive] = 1 - (among_all[~positive] - rankdata(scores[~positive])) / up
    value = float(parts[positive].mean())
    names = np.arange(len(scores)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = {side: len(np.unique(names[positive == side])) for side in (True, False)}
    weights = np.where(positive, _widened(units[True]) / up, _widened(units[False]) / down)
    return Area(value, weights * (parts - value), units[True], units[False])


def area_interval(found: Area, clusters: npt.ArrayLike | None = None) -> tuple[Interval, str]:
    """The 95 % interval of an area, and its name.

    DeLong's on the logit scale, clusters adding together as in Obuchowski (1997, "Nonparametric analysis of
    clustered ROC curve data"); where no spread is to be seen (an area of 0 or 1, one positive), Newcombe's
    (2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2",
    method 5).
    """
    error = standard_error(found.influences, clusters)
    alone = min(found.positives, found.negatives) < 2
    if error == 0 or alone or not 0 < found.value < 1:
        return newcombe(found.value, found.positives, found.negatives), "newcombe"
    centre, half = float(logit(found.value)), _Z * error / (found.value * (1 - found.value))
    interval = Interval(found.value, float(expit(centre - half)), float(expit(centre + half)))
    return interval, "delong" if clusters is None else "delong over clusters"


def area_difference(
    first: Area, second: Area, clusters: npt.ArrayLike | None = None
) -> tuple[float, float, float]:
    """Second less first of the same examples: the difference, its standard error and two-sided p (DeLong)."""
    value = second.value - first.value
    error = standard_error(second.influences - first.influences, clusters)
    if error == 0 and value != 0:  # both without spread: their own intervals are all that is known
        ends = [newcombe(one.value, one.positives, one.negatives) for one in (first, second)]
        error = hypot(*((end.high - end.low) / (2 * _Z) for end in ends))
    p = 1.0 if value == 0 else 2 * float(norm.sf(abs(value) / error))
    return value, error, p


def newcombe(value: float, positives: int, negatives: int) -> Interval:
    """An interval of an area from the area and the counts alone, sound at 0 and at 1."""
    low = _lower(value, (positives + negatives) / 2, positives * negatives)
    return Interval(value, low, 1 - _lower(1 - value, (positives + negatives) / 2, positives * negatives))


def _lower(value: float, size: float, pairs: int) -> float:
    """Where an area's distance from `value` is 1.96 of its own standard errors; `size`: N* of Newcombe."""
    if value == 0:
        return 0.0

    def beyond(x: float) -> float:
        spread = x * (1 - x) / pairs * (1 + (size - 1) * ((1 - x) / (2 - x) + x / (1 + x)))
        return value - x - _Z * float(np.sqrt(spread))

    return float(brentq(beyond, 0.0, min(value, 1 - 1e-12)))


def _widened(units: int) -> float:
    return float(np.sqrt(units / (units - 1))) if units > 1 else 1.0
