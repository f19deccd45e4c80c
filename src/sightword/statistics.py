"""How sure a measured number is: intervals, paired differences, corrections. Pure numpy and scipy.

Every bootstrap here resamples *units* (examples, or clusters of examples that belong together) and takes
the ratio of two sums over them: a mean, and a mean over clusters of unequal size.
A resample is a row of multinomial counts over the *distinct* units, so a thousand resamples of a million
right-or-wrong answers cost a thousand draws of two numbers, with exactly the distribution of the plain one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64, Int
from scipy import stats

Method = Literal["percentile", "bca"]
CELLS = 4_000_000  # numbers drawn at a time: 32 MB


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson 1927; method 3 of Newcombe 1998), sound at 0 and at n.

    Raises:
        ValueError: unless 0 <= successes <= n and n >= 1.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"need 0 <= successes <= n and n >= 1, found {successes} of {n}")
    low, high = _score_interval(successes / n, float(n), confidence)
    return Interval(successes / n, low, high)


def bootstrap_mean(
    values: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    clusters: npt.ArrayLike | None = None,
    method: Method = "bca",
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A (weighted) mean with its bootstrap interval.

    Args:
        values: one number for each example, shape (n,).
        weights: how much each example counts, shape (n,); all alike when None.
        clusters: the name of each example's cluster, shape (n,). Examples of one cluster (pictures of one
            concept, captions of one picture) are drawn together, since they err together.
        method: percentile, or bias-corrected and accelerated (Efron 1987, equations 2.3 and 6.6).
        resamples: bootstrap samples.
        confidence: of the interval.
        seed: of the resampling; equal seeds, equal intervals.

    Raises:
        ValueError: when there are no examples or no weight.
    """
    numbers = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(numbers) if weights is None else np.asarray(weights, dtype=np.float64)
    if numbers.size == 0 or weight.sum() <= 0:
        raise ValueError("a mean needs at least one example with weight")
    tops, bottoms = numbers * weight, weight
    if clusters is not None:
        tops, bottoms = _summed(tops, clusters), _summed(bottoms, clusters)
    return _ratio(tops, bottoms, method, resamples, confidence, seed)


def class_mean(
    values: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    clusters: npt.ArrayLike | None = None,
) -> tuple[float, Float64[np.ndarray, " n"]]:
    """The mean over the classes present of each class's mean (mean per-class recall), and its influences.

    The classes are taken as given: only what is answered within a class is chance. An influence is how far
    an example pulls the number; `standard_error` makes an error of them. A class that is one unit alone (one
    example, one cluster) shows no spread of its own, so its distance from all classes' mean stands for it.

    Raises:
        ValueError: when there are no examples.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0:
        raise ValueError("a mean needs at least one example")
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.bincount(which, numbers) / counts
    value = float(means.mean())
    units = np.arange(len(numbers)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    distinct = np.unique(np.stack([which, units]), axis=1)
    held = np.bincount(distinct[0], minlength=len(counts))  # units of each class
    centres = np.where(held > 1, means, value)
    widen = np.where(held > 1, np.sqrt(held / np.maximum(held - 1, 1)), 1.0)
    return value, widen[which] * (numbers - centres[which]) / (len(counts) * counts[which])


def standard_error(influences: Float64[np.ndarray, " n"], clusters: npt.ArrayLike | None = None) -> float:
    """The error of a number that is a sum of what examples add; those of one cluster add together."""
    units = influences if clusters is None else _summed(influences, clusters)
    return float(np.sqrt((units**2).sum()))


def share_interval(share: float, error: float, units: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share between 0 and 1 that has this standard error.

    By the effective sample size share (1 - share) / error² (Korn and Graubard 1998, "Confidence intervals
    for proportions with small expected number of positive counts"); where there is no error to be seen, by
    the number of units, because having seen none does not make a number certain.
    """
    effective = share * (1 - share) / error**2 if error > 0 else float(units)
    low, high = _score_interval(share, effective, confidence)
    return Interval(share, low, high)


def normal_interval(value: float, error: float, confidence: float = 0.95) -> Interval:
    """A value and so many standard errors on both sides."""
    half = float(stats.norm.isf((1 - confidence) / 2)) * error
    return Interval(value, value - half, value + half)


def paired_difference(
    first: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    second: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    clusters: npt.ArrayLike | None = None,
    method: Method = "bca",
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of `second - first` over examples that both answered, with its paired bootstrap interval.

    Both are shape (n,), in the same order; the other arguments are `bootstrap_mean`'s.
    """
    return bootstrap_mean(
        np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64),
        weights=weights,
        clusters=clusters,
        method=method,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )


def mcnemar(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> float:
    """Exact two-sided p of McNemar's test (1947): are two answerers of the same questions alike?

    Binomial over the questions on which they differ; 1 when they never do. Questions count as independent.
    """
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def sign_flips(
    differences: Float64[np.ndarray, " n"],
    clusters: npt.ArrayLike | None = None,
    draws: int = 100_000,
    seed: int = 0,
) -> float:
    """Two-sided p of the randomisation test of paired answers: would swapping the two change the sum so much?

    Under the hypothesis that the answerers are alike, each difference (of a cluster: their sum) is as likely
    with the other sign (Fisher 1935, chapter III). Of right-or-wrong answers this is McNemar's test, drawn
    instead of counted. At least 1 / (draws + 1).
    """
    units = differences if clusters is None else _summed(differences, clusters)
    sizes, counts = np.unique(np.abs(units[units != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    generator = np.random.default_rng(seed)
    found, reached, slack = abs(float(units.sum())), 0, 1e-9 * float(sizes @ counts)
    chunk = max(1, CELLS // len(sizes))
    for start in range(0, draws, chunk):
        kept = generator.binomial(counts, 0.5, size=(min(chunk, draws - start), len(counts)))
        reached += int((np.abs((2 * kept - counts) @ sizes) >= found - slack).sum())
    return (1 + reached) / (1 + draws)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the given order, that keep the family-wise error (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.tolist()


def _score_interval(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's, of n answers that need not be a whole number."""
    z = float(stats.norm.isf((1 - confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def _summed(values: Float64[np.ndarray, " n"], clusters: npt.ArrayLike) -> Float64[np.ndarray, " m"]:
    """The sum of each cluster."""
    return np.bincount(np.unique(clusters, return_inverse=True)[1], values)


def _ratio(
    tops: Float64[np.ndarray, " m"],
    bottoms: Float64[np.ndarray, " m"],
    method: Method,
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval:
    """sum(tops) / sum(bottoms), its units resampled."""
    value = float(tops.sum() / bottoms.sum())
    pairs, counts = np.unique(np.stack([tops, bottoms]), axis=1, return_counts=True)
    if len(counts) == 1:
        return Interval(value, value, value)
    means = np.concatenate(list(_resampled(pairs, counts, resamples, seed)))
    tail = (1 - confidence) / 2
    ends = np.array([tail, 1 - tail])
    if method == "bca":
        ends = _bca(ends, value, means, _acceleration(pairs, counts))
    low, high = np.quantile(means, ends)
    return Interval(value, float(low), float(high))


def _resampled(
    pairs: Float64[np.ndarray, "2 u"], counts: Int[np.ndarray, " u"], resamples: int, seed: int
) -> Iterator[Float64[np.ndarray, " r"]]:
    """The ratio in each resample, some at a time."""
    generator = np.random.default_rng(seed)
    units = int(counts.sum())
    chunk = max(1, CELLS // len(counts))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.multinomial(units, counts / units, size=size) @ pairs.T
        empty = drawn[:, 1] == 0  # only units without weight were drawn: as rare as it is meaningless
        yield drawn[~empty, 0] / drawn[~empty, 1]


def _acceleration(pairs: Float64[np.ndarray, "2 u"], counts: Int[np.ndarray, " u"]) -> float:
    """Efron 1987, equation 6.6, from the leave-one-out ratios of each distinct unit."""
    total = pairs @ counts
    left = total[:, None] - pairs
    kept = left[1] > 0
    without, times = left[0, kept] / left[1, kept], counts[kept]
    apart = np.average(without, weights=times) - without
    spread = float((times * apart**2).sum())
    return 0.0 if spread == 0 else float((times * apart**3).sum()) / (6 * spread**1.5)


def _bca(
    ends: Float64[np.ndarray, " 2"], value: float, means: Float64[np.ndarray, " r"], acceleration: float
) -> Float64[np.ndarray, " 2"]:
    """Which quantiles of the resampled means to take (Efron 1987, equation 2.3)."""
    # Ties count half, as scipy does: means of right-or-wrong answers are often exactly the estimate.
    ties = np.isclose(means, value, rtol=1e-12, atol=1e-12)
    below = (np.sum((means < value) & ~ties) + 0.5 * np.sum(ties)) / len(means)
    below = float(np.clip(below, 0.5 / len(means), 1 - 0.5 / len(means)))
    bias = stats.norm.ppf(below)
    z = bias + stats.norm.ppf(ends)
    return np.asarray(stats.norm.cdf(bias + z / (1 - acceleration * z)))
