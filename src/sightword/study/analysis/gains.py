"""The gain of an arm over the first at each size, with both kinds of chance: test examples and seeds.

    d[i, k] = gain[i] + examples[i] + seed[i, k]

`examples` is what the choice of test examples adds: it is the same for all seeds, so it does not shrink with
their number. Its covariance is the mean of products of two *different* seeds' influences. What the spread of
seeds shows is the rest: training, and how training and examples meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64
from scipy import special

from sightword.statistics import Interval, holm
from sightword.study.analysis.grids import Pairs

LEVEL = 0.05
PRIOR = 4.0  # how many degrees of freedom the other sizes' seed variance may add to a size's own


@dataclass(frozen=True)
class Gain:
    """How much better an arm is than the first at one size; higher values are better.

    gain: the mean over seeds with its 95 % interval. error: its standard error; df: degrees of freedom of the
        interval's t; examples_error and seeds_error: the parts of the error.
    seeds: paired runs. With one, seeds_error is None: the interval holds the test examples alone.
    p: two-sided, that there is no gain; `adjusted` by Holm over all that was asked at once.
    """

    objective: str
    baseline: str
    size: int
    gain: Interval
    error: float
    df: float
    examples_error: float
    seeds_error: float | None
    seeds: int
    p: float
    adjusted: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out zero and the corrected p is small; never of a single seed."""
        clear = self.gain.low > 0 or self.gain.high < 0
        return clear and self.seeds > 1 and self.adjusted is not None and self.adjusted < LEVEL


@dataclass(frozen=True, eq=False)
class SeedSpread:
    """How much seeds differ at each size.

    variance: of one seed, shape (sizes,); NaN where no size has two seeds. Each size's own variance is drawn
        towards the others' (Smyth 2004, section 3, with the prior's degrees of freedom fixed at `PRIOR` or
        what the others have, because a handful of sizes cannot tell them).
    df: degrees of freedom of each, shape (sizes,).
    own, others: the weights of a squared deviation at the size itself and at any other, shape (sizes,).
    """

    variance: Float64[np.ndarray, " i"]
    df: Float64[np.ndarray, " i"]
    own: Float64[np.ndarray, " i"]
    others: Float64[np.ndarray, " i"]


def seed_spread(values: Float64[np.ndarray, "i k"]) -> SeedSpread:
    """The spread of seeds at each size; missing runs are NaN."""
    present = np.isfinite(values)
    free = np.maximum(present.sum(1) - 1, 0).astype(float)
    squares = np.nansum(deviations(values) ** 2, axis=1)
    rest_free, rest = free.sum() - free, squares.sum() - squares
    prior = np.minimum(PRIOR, rest_free)
    df = free + prior
    with np.errstate(invalid="ignore", divide="ignore"):
        own = 1 / df
        others = np.where(rest_free > 0, prior / rest_free, 0) / df
        variance = own * squares + others * rest
    return SeedSpread(np.where(df > 0, variance, np.nan), df, own, others)


def deviations(values: Float64[np.ndarray, "i k"]) -> Float64[np.ndarray, "i k"]:
    """Each seed less the mean over seeds; NaN where missing."""
    present = np.isfinite(values)
    means = np.where(present, values, 0).sum(1) / np.maximum(present.sum(1), 1)
    return values - means[:, None]


def examples_covariance(
    covariance: Float64[np.ndarray, "i k i k"], present: Bool[np.ndarray, "i k"], floor: float
) -> Float64[np.ndarray, "i i"]:
    """Of the means over seeds, by the choice of test examples, shape (sizes, sizes).

    At one size over pairs of different seeds (what a seed has alone is in the spread of seeds); a size with
    one seed takes all that it shows.
    """
    seeds = present.sum(1).astype(float)
    here = present.astype(float)
    total = np.einsum("ik,ikjl,jl->ij", here, covariance, here)
    shared = total / np.maximum(np.outer(seeds, seeds), 1)
    own = np.einsum("ik,ikik->i", here, covariance)
    several = seeds > 1
    crossed = (np.diag(total) - own) / np.where(several, seeds * (seeds - 1), 1)
    np.fill_diagonal(shared, np.where(several, crossed, np.diag(shared)))
    sizes, vectors = np.linalg.eigh(shared)
    shared = (vectors * np.maximum(sizes, 0)) @ vectors.T
    np.fill_diagonal(shared, np.maximum(np.diag(shared), floor))
    return shared


def gains(table: Pairs) -> list[Gain]:
    """The gain at each size of which there are paired runs.

    The interval is t with Satterthwaite's degrees of freedom (1946) for the sum of both variances.
    """
    spread = seed_spread(table.differences)
    examples = np.diag(examples_covariance(table.covariance, table.present, table.floor))
    found = []
    for i, size in enumerate(table.sizes):
        seen = table.differences[i][table.present[i]]
        if not len(seen):
            continue
        several = len(seen) > 1 and spread.df[i] > 0
        seeds = float(spread.variance[i]) / len(seen) if several else 0.0
        found.append(_gain(table, size, seen, float(examples[i]), seeds, float(spread.df[i])))
    return found


@dataclass(frozen=True)
class Change:
    """How the gain changes with size: the straight line through the gains over log10 of size.

    per_decade: the slope, per factor of ten, with its 95 % interval (t, Satterthwaite). A line is the
        plainest summary of a trend and no claim that the gain follows one.
    """

    per_decade: Interval

    @property
    def direction(self) -> int:
        """1: grows; -1: shrinks, and may turn; 0: neither is shown."""
        return (self.per_decade.low > 0) - (self.per_decade.high < 0)


def change(table: Pairs) -> Change | None:
    """How the gain changes with size; None with fewer than two sizes that have two seeds or more."""
    counts = table.present.sum(1)
    used = counts > 1
    if used.sum() < 2:
        return None
    x = np.log10(np.array(table.sizes, dtype=float)[used])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    value = float(weights @ np.nanmean(table.differences[used], axis=1))
    spread = seed_spread(table.differences[used])
    seeds = weights**2 * spread.variance / counts[used]
    covariance = table.covariance[used][:, :, used]
    examples = float(weights @ examples_covariance(covariance, table.present[used], table.floor) @ weights)
    # Sizes' variances are drawn towards each other, so their freedom is that of all seeds together at most.
    free = min(float((counts[used] - 1).sum()), float(seeds.sum() ** 2 / (seeds**2 / spread.df).sum()))
    error, df = _summed(examples, float(seeds.sum()), table.units, free)
    half = float(special.stdtrit(df, 1 - LEVEL / 2)) * error
    return Change(Interval(value, value - half, value + half))


def corrected(some: Sequence[Gain]) -> list[Gain]:
    """The same with p corrected over all of them (Holm 1979); single seeds are asked nothing."""
    asked = [one for one in some if one.seeds > 1]
    adjusted = iter(holm([one.p for one in asked]))
    return [replace(one, adjusted=next(adjusted)) if one.seeds > 1 else one for one in some]


def _gain(
    table: Pairs, size: int, seen: Float64[np.ndarray, " k"], examples: float, seeds: float, df: float
) -> Gain:
    value = float(seen.mean())
    error, free = _summed(examples, seeds, table.units, df)
    half = float(special.stdtrit(free, 1 - LEVEL / 2)) * error
    return Gain(
        *(table.objective, table.baseline, size, Interval(value, value - half, value + half)),
        error=error,
        df=free,
        examples_error=float(np.sqrt(examples)),
        seeds_error=float(np.sqrt(seeds)) if len(seen) > 1 else None,
        seeds=len(seen),
        p=float(2 * special.stdtr(free, -abs(value) / error)),
    )


def _summed(examples: float, seeds: float, units: int, df: float) -> tuple[float, float]:
    """Standard error and Satterthwaite's degrees of freedom of the sum of both variances."""
    variance = examples + seeds
    parts = examples**2 / max(units - 1, 1) + (seeds**2 / df if seeds > 0 else 0.0)
    return float(np.sqrt(variance)), variance**2 / parts
