"""How well regions were found: intersection over union and pixel accuracy, with intervals over pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from sightword.evaluation.measures import Measured, credit
from sightword.statistics import Interval, bootstrap_mean

RESAMPLES = 2_000
CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Overlap:
    """Pixels of each picture and class: said and true, said, true. Pixels that do not count are in none."""

    both: Int64[np.ndarray, "n c"]
    said: Int64[np.ndarray, "n c"]
    true: Int64[np.ndarray, "n c"]

    @property
    def union(self) -> Int64[np.ndarray, "n c"]:
        """Pixels that are said or true."""
        return self.said + self.true - self.both


def counted(
    said: Int64[np.ndarray, "h w"], true: Int64[np.ndarray, "h w"], classes: int
) -> Int64[np.ndarray, "3 c"]:
    """One picture's rows of an `Overlap`; pixels whose true class is negative do not count."""
    counts = true >= 0
    said, true = said[counts], true[counts]
    return np.stack([np.bincount(which, minlength=classes) for which in (true[said == true], said, true)])


def mean_iou(
    both: Float64[np.ndarray, "*r c"], union: Float64[np.ndarray, "*r c"]
) -> Float64[np.ndarray, "*r"]:
    """The mean over classes that are said or true anywhere of intersection over union."""
    there = union > 0
    shares = np.where(there, both / np.where(there, union, 1), 0)
    return np.asarray(shares.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1))


def measured(overlap: Overlap) -> tuple[Measured, ...]:
    """`miou` and `pixel_accuracy` over all pixels, and `picture_miou`, the mean of each picture's own.

    Intervals resample pictures: pixels of one picture err together.
    """
    pictures = len(overlap.true)
    pixels = overlap.true.sum(axis=1).astype(np.float64)
    right = overlap.both.sum(axis=1) / np.maximum(pixels, 1)
    accuracy = bootstrap_mean(right, weights=pixels)
    own = mean_iou(overlap.both.astype(np.float64), overlap.union.astype(np.float64))
    return (
        Measured("miou", _resampled(overlap), pictures, "percentile bootstrap over pictures"),
        Measured("pixel_accuracy", accuracy, pictures, "bca bootstrap over pictures"),
        credit("picture_miou", own),
    )


def _resampled(overlap: Overlap) -> Interval:
    both, union = overlap.both.astype(np.float64), overlap.union.astype(np.float64)
    value = float(mean_iou(both.sum(axis=0), union.sum(axis=0)))
    generator, pictures = np.random.default_rng(0), len(both)
    chunk, found = max(1, CELLS // (pictures + both.shape[1])), list[Float64[np.ndarray, " r"]]()
    for start in range(0, RESAMPLES, chunk):
        size = min(chunk, RESAMPLES - start)
        times = generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=size).astype(np.float64)
        found.append(mean_iou(times @ both, times @ union))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return Interval(value, float(low), float(high))
