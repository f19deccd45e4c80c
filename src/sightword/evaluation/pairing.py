"""One metric of two runs on the same examples: the difference, its interval and p, as fits the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float64

from sightword.evaluation.measures import clusters_in, half_and_half
from sightword.evaluation.overlap import COUNTED, MIOU, OVERLAPS, Overlap, gained
from sightword.evaluation.roc import area, area_difference
from sightword.statistics import (
    Interval,
    class_mean,
    mcnemar,
    normal_interval,
    paired_difference,
    sign_flips,
    standard_error,
)


@dataclass(frozen=True)
class Paired:
    """Second run less first.

    first, second: the metric of each.
    error: the standard error of the difference.
    p: two-sided, that the two are alike; `test` says by which test.
    """

    first: float
    second: float
    difference: Interval
    error: float
    p: float
    interval: str
    test: str


def paired(metric: str, k: int, one: pa.Table, other: pa.Table) -> Paired:
    """The paired difference of a metric over outcomes of the same examples in the same order.

    Args:
        metric: its name.
        k: for metrics at a rank, the worst rank that is right.
        one: the first run's outcomes.
        other: the second run's.
    """
    clusters = clusters_in(one)
    if metric == "mean_per_class_recall":
        return _of_classes(_within(one, k), _within(other, k), one["label"].to_numpy(), clusters)
    if metric == "roc_auc":
        return _of_areas(one, other, clusters)
    if metric == "mean_acc1_acc5":
        first, second = (half_and_half(rows["rank"].to_numpy()) for rows in (one, other))
        return _of_means(first, second, clusters)
    if metric in OVERLAPS:
        return _of_overlaps(metric, one, other)
    if k:
        return _of_means(_within(one, k), _within(other, k), clusters)
    first, second = (rows[metric].to_numpy(zero_copy_only=False).astype(np.float64) for rows in (one, other))
    return _of_means(first, second, clusters)


def _of_means(
    first: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    second: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    clusters: Sequence[str],
) -> Paired:
    named = np.asarray(clusters) if clusters else None
    differences = second.astype(np.float64) - first
    centred = (differences - differences.mean()) / len(differences)
    units = len(set(clusters)) or len(differences)
    error = standard_error(centred, named) * float(np.sqrt(units / max(1, units - 1)))
    exact = first.dtype == second.dtype == np.bool_ and named is None
    over = " over clusters" if clusters else ""
    return Paired(
        float(first.mean()),
        float(second.mean()),
        paired_difference(first, second, clusters=named),
        error,
        mcnemar(first, second) if exact else sign_flips(differences, named),
        f"bca bootstrap{over}",
        "mcnemar" if exact else f"sign flips{over}",
    )


def _of_classes(
    first: Bool[np.ndarray, " n"],
    second: Bool[np.ndarray, " n"],
    labels: np.ndarray,
    clusters: Sequence[str],
) -> Paired:
    """Of means over classes. Swapped in the test is what each example adds to the difference."""
    named = np.asarray(clusters) if clusters else None
    differences = second.astype(np.float64) - first
    value, influences = class_mean(differences, labels, named)
    error = standard_error(influences, named)
    over = " over clusters" if clusters else ""
    return Paired(
        class_mean(first, labels)[0],
        class_mean(second, labels)[0],
        normal_interval(value, error),
        error,
        sign_flips(differences * _class_weights(labels), named),
        f"normal{over}",
        f"sign flips{over}",
    )


def _of_areas(one: pa.Table, other: pa.Table, clusters: Sequence[str]) -> Paired:
    named = np.asarray(clusters) if clusters else None
    positive = one["label"].to_numpy() == 1
    first, second = (area(rows["score"].to_numpy(), positive, named) for rows in (one, other))
    value, error, p = area_difference(first, second, named)
    name = f"delong{' over clusters' if clusters else ''}"
    return Paired(first.value, second.value, normal_interval(value, error), error, p, name, name)


def _of_overlaps(metric: str, one: pa.Table, other: pa.Table) -> Paired:
    """Of what is measured over the pixels of all pictures, which are the units."""
    first, second = (_overlap(rows) for rows in (one, other))
    if metric == MIOU:
        found = gained(first, second)
        over = "percentile bootstrap over pictures", "swaps of pictures"
        return Paired(found.first, found.second, found.difference, found.error, found.p, *over)
    pixels = first.true.sum(axis=1).astype(np.float64)
    right = [overlap.both.sum(axis=1) / np.maximum(pixels, 1) for overlap in (first, second)]
    difference = paired_difference(right[0], right[1], weights=pixels)
    weighed = (right[1] - right[0]) * pixels
    influences = (weighed - difference.value * pixels) / pixels.sum()
    return Paired(
        float(right[0] @ pixels / pixels.sum()),
        float(right[1] @ pixels / pixels.sum()),
        difference,
        standard_error(influences) * float(np.sqrt(len(pixels) / max(1, len(pixels) - 1))),
        sign_flips(weighed),
        "bca bootstrap over pictures",
        "sign flips over pictures",
    )


def _overlap(rows: pa.Table) -> Overlap:
    both, union, true = (np.array(rows[name].to_pylist()) for name in COUNTED)
    return Overlap(both, union + both - true, true)


def _within(rows: pa.Table, k: int) -> Bool[np.ndarray, " n"]:
    return np.asarray(rows["rank"].to_numpy() <= k)


def _class_weights(labels: np.ndarray) -> Float64[np.ndarray, " n"]:
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1.0 / (len(counts) * counts[which])
