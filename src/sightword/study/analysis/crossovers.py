"""The size at which a gain changes its sign, by asking the gain's curve at every size.

A size is *positive* or *negative* where the curve's 95 % interval lies on that side of zero, else *open*.
The crossover's interval is the open stretch between a positive and a negative one: the sizes at which no gain
cannot be ruled out (Fieller's construction, 1954). It covers the true crossover as often as the curve's
interval covers the gain at that size. Asked is from a decade below the smallest size to one above the
largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int
from scipy import special

from sightword.statistics import Interval
from sightword.study.analysis.gain_curves import GainCurve

Kind = Literal["crosses", "none", "undetermined"]
REACH = 1.0  # decades beyond the sizes that were run; further nothing is said
_STEPS = 15  # places asked, of a decade


@dataclass(frozen=True)
class Crossover:
    """Where a gain changes its sign.

    kind: "crosses": once, at `size`. "none": the gain keeps the sign from the smallest size until one
        decade beyond the largest. "undetermined": neither is shown.
    size: the crossover with its 95 % interval, where it crosses.
    sign: of the gain below the crossover, or on `shown`; 0 when it is nowhere shown.
    shown: where it does not cross, the longest stretch of sizes over which the sign is, from the smallest on.
    reach: from which to which size was asked.
    """

    kind: Kind
    size: Interval | None
    sign: int
    shown: tuple[float, float] | None
    reach: tuple[float, float]


def crossover(curve: GainCurve, confidence: float = 0.95) -> Crossover:
    """Where the curve's gain changes its sign."""
    first, last = float(np.log10(curve.sizes[0])), float(np.log10(curve.sizes[-1]))
    x = np.linspace(first - REACH, last + REACH, int(np.ceil((last - first + 2 * REACH) * _STEPS)) + 1)
    return _read(x, curve.above(10**x), first, confidence)


def _read(
    x: Float64[np.ndarray, " n"], above: Float64[np.ndarray, " n"], first: float, confidence: float
) -> Crossover:
    """From how probable a gain is at each place."""
    tail = (1 - confidence) / 2
    signs = (above > 1 - tail).astype(int) - (above < tail).astype(int)
    reach = (float(10 ** x[0]), float(10 ** x[-1]))
    sides = [side for side in _stretches(signs) if side[0]]
    if len(sides) == 2 and sides[0][0] != sides[1][0]:
        ends = slice(sides[0][2] - 1, sides[1][1] + 1)
        return Crossover(
            "crosses", _between(x[ends], above[ends], sides[0][0], tail), sides[0][0], None, reach
        )
    run = x >= first - 1e-9  # below the smallest size a curve may end in chance, so no gain is told of there
    if len(sides) == 1 and signs[run].all():
        return Crossover("none", None, sides[0][0], (float(10**first), reach[1]), reach)
    sides = [side for side in _stretches(signs[run]) if side[0]]
    if not sides:
        return Crossover("undetermined", None, 0, None, reach)
    sign, start, stop = max(sides, key=lambda side: side[2] - side[1])
    shown = (float(10 ** x[run][start]), float(10 ** x[run][stop - 1]))
    return Crossover("undetermined", None, sign, shown, reach)


def _between(
    x: Float64[np.ndarray, " m"], above: Float64[np.ndarray, " m"], sign: int, tail: float
) -> Interval:
    """From a clear place to the clear place of the other sign: where 2.5, 50 and 97.5 % are passed."""
    z = -sign * special.ndtri(np.clip(above, 1e-12, 1 - 1e-12))  # rises, as a whole
    border = float(special.ndtri(1 - tail))
    middle = (_passed(x, z, 0.0, last=False) + _passed(x, z, 0.0, last=True)) / 2
    ends = _passed(x, z, -border, last=False), _passed(x, z, border, last=True)
    return Interval(float(10**middle), float(10 ** ends[0]), float(10 ** ends[1]))


def _passed(x: Float64[np.ndarray, " m"], z: Float64[np.ndarray, " m"], level: float, last: bool) -> float:
    """The first or last place at which z rises through a level, by the straight line between places."""
    rises = np.flatnonzero((z[:-1] <= level) & (z[1:] > level))
    at = int(rises[-1 if last else 0])
    return float(x[at] + (level - z[at]) / (z[at + 1] - z[at]) * (x[at + 1] - x[at]))


def _stretches(signs: Int[np.ndarray, " n"]) -> list[tuple[int, int, int]]:
    """Runs of one sign: the sign, where it starts, where it has stopped."""
    edges = [0, *(np.flatnonzero(np.diff(signs)) + 1).tolist(), len(signs)]
    return [(int(signs[start]), start, stop) for start, stop in pairwise(edges)]
