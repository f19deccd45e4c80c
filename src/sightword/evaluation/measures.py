"""From outcomes to metrics with intervals. Names are CLIP_benchmark's; values are fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from sightword.statistics import Interval, bootstrap_class_mean, bootstrap_mean, wilson

RECALLS = (1, 5, 10)


@dataclass(frozen=True)
class Measured:
    """One metric: its 95 % interval, over how many examples, and how the interval was made."""

    metric: str
    interval: Interval
    n: int
    method: str


def classification(
    ranks: Int64[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
    classes: int,
    clusters: Sequence[str] = (),
) -> tuple[Measured, ...]:
    """acc1, acc5 (from five classes on) and mean_per_class_recall, from the rank of each true class."""
    top = [1, 5] if classes >= 5 else [1]
    shares = tuple(share(f"acc{k}", ranks <= k, clusters) for k in top)
    return (*shares, class_recall(ranks <= 1, labels, clusters))


def retrieval(
    direction: str, ranks: Int64[np.ndarray, " n"], clusters: Sequence[str] = ()
) -> tuple[Measured, ...]:
    """`image_retrieval_recall@k` or `text_retrieval_recall@k`, from the rank of each query's best hit."""
    return tuple(share(f"{direction}_retrieval_recall@{k}", ranks <= k, clusters) for k in RECALLS)


def share(metric: str, right: Bool[np.ndarray, " n"], clusters: Sequence[str] = ()) -> Measured:
    """The share that is right: Wilson's interval, or a bootstrap where clusters of examples err together."""
    found = int(right.sum())
    if not clusters:
        return Measured(metric, wilson(found, len(right)), len(right), "wilson")
    if found in (0, len(right)):
        # No resample differs from another, which does not make the number certain.
        units = len(set(clusters))
        return Measured(metric, wilson(units if found else 0, units), len(right), "wilson over clusters")
    interval = bootstrap_mean(right, clusters=np.asarray(clusters))
    return Measured(metric, interval, len(right), "bca bootstrap over clusters")


def class_recall(
    right: Bool[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], clusters: Sequence[str] = ()
) -> Measured:
    """The mean over the classes present of the share that is right in each."""
    metric = "mean_per_class_recall"
    if right.all() or not right.any():
        plain = share(metric, right, clusters)
        return Measured(metric, plain.interval, plain.n, plain.method)
    named = np.asarray(clusters) if clusters else None
    interval = bootstrap_class_mean(right, labels, clusters=named)
    return Measured(metric, interval, len(right), f"bca bootstrap{' over clusters' if clusters else ''}")
