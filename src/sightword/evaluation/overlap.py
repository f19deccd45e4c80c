"""How well regions were found: intersection over union and pixel accuracy, with intervals over pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from sightword.evaluation.measures import Measured, credit
from sightword.evaluation.progress import watched
from sightword.statistics import Interval, bootstrap_mean

RESAMPLES = 2_000
FLIPS = 20_000  # of the randomisation test
CELLS = 4_000_000
MIOU, OVERLAPS = "miou", ("miou", "pixel_accuracy")  # measured over the pixels of all pictures
COUNTED = ("intersection", "union", "true")  # columns of outcomes that these are made of


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
        Measured(MIOU, _resampled(overlap), pictures, "percentile bootstrap over pictures"),
        Measured("pixel_accuracy", accuracy, pictures, "bca bootstrap over pictures"),
        credit("picture_miou", own),
    )


@dataclass(frozen=True)
class Gained:
    """The mIoU of two answerers of the same pictures, and the second's less the first's.

    error: the standard error of the difference.
    p: two-sided, that the two are alike.
    """

    first: float
    second: float
    difference: Interval
    error: float
    p: float


def gained(first: Overlap, second: Overlap) -> Gained:
    """The paired difference in `miou`, of which pictures are the units.

    The interval is of the percentile bootstrap over pictures: both answers to a picture are drawn together,
    and each class's intersections and unions are summed before they are divided and averaged. p is of the
    randomisation test that swaps the answers to each picture or does not, with the same chance (Fisher 1935,
    chapter III), at least 1 / (FLIPS + 1).
    """
    ones, others = _stacked(first), _stacked(second)
    values = [float(_miou(sums.sum(axis=0))) for sums in (ones, others)]
    found = values[1] - values[0]
    drawn = np.concatenate([_miou(n @ others) - _miou(n @ ones) for n in _times(len(ones), RESAMPLES)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    swapped = np.concatenate(
        [_miou(others.sum(axis=0) + by) - _miou(ones.sum(axis=0) - by) for by in _swaps(ones - others)]
    )
    reached = int((np.abs(swapped) >= abs(found) - 1e-12).sum())
    ends = Interval(found, float(low), float(high))
    return Gained(values[0], values[1], ends, float(drawn.std(ddof=1)), (1 + reached) / (1 + FLIPS))


def _stacked(overlap: Overlap) -> Float64[np.ndarray, "n c2"]:
    """Intersections and unions side by side."""
    return np.concatenate([overlap.both, overlap.union], axis=1).astype(np.float64)


def _miou(sums: Float64[np.ndarray, "*r c2"]) -> Float64[np.ndarray, "*r"]:
    return mean_iou(*np.split(sums, 2, axis=-1))


def _times(pictures: int, resamples: int) -> Iterator[Float64[np.ndarray, "r n"]]:
    """How often each picture is drawn in each resample, some resamples at a time."""
    generator, chunk = np.random.default_rng(0), max(1, CELLS // pictures)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        yield generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=size).astype(np.float64)


def _swaps(by: Float64[np.ndarray, "n c2"]) -> Iterator[Float64[np.ndarray, "r c2"]]:
    """What sums gain when some of the pictures' answers are swapped, some draws at a time."""
    generator, chunk = np.random.default_rng(0), max(1, CELLS // len(by))
    for start in watched(range(0, FLIPS, chunk), FLIPS, "swaps of pictures", chunk):
        kept = generator.integers(0, 2, (min(chunk, FLIPS - start), len(by)), dtype=np.int8)
        yield kept.astype(np.float64) @ by


def _resampled(overlap: Overlap) -> Interval:
    sums = _stacked(overlap)
    drawn = np.concatenate([_miou(times @ sums) for times in _times(len(sums), RESAMPLES)])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(_miou(sums.sum(axis=0))), float(low), float(high))
