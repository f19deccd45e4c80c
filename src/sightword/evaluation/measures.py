"""From outcomes to metrics with intervals. Names are CLIP_benchmark's; values are fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from sightword.evaluation.cards import Metric
from sightword.evaluation.roc import area, area_interval
from sightword.statistics import (
    Interval,
    bootstrap_mean,
    class_mean,
    share_interval,
    standard_error,
    wilson,
)

RECALLS = (1, 5, 10)
RETRIEVED: Metric = "image_retrieval_recall@5"  # the one of retrieval sets


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
    """acc1, acc5 (from five classes on) and mean_per_class_recall, from the rank of each true class.

    They are scikit-learn's `accuracy_score`, `top_k_accuracy_score` and `balanced_accuracy_score` (classes
    that no example has do not count), but for ties, which go to the lower class.
    """
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


def credit(metric: str, values: Float64[np.ndarray, " n"], clusters: Sequence[str] = ()) -> Measured:
    """The mean of what each example is credited, from 0 to 1: a bootstrap's interval.

    Where all examples have the same credit, no resample differs from another: Wilson's, by their number.
    """
    named = np.asarray(clusters) if clusters else None
    over = " over clusters" if clusters else ""
    if np.ptp(values) == 0:
        interval = share_interval(float(values[0]), 0.0, len(set(clusters)) or len(values))
        return Measured(metric, interval, len(values), f"wilson{over}")
    return Measured(metric, bootstrap_mean(values, clusters=named), len(values), f"bca bootstrap{over}")


def class_recall(
    right: Bool[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], clusters: Sequence[str] = ()
) -> Measured:
    """The mean over the classes present of the share that is right in each.

    The interval is Wilson's at the effective sample size that the spread inside the classes gives.
    """
    named = np.asarray(clusters) if clusters else None
    value, influences = class_mean(right, labels, named)
    units = len(set(clusters)) or len(right)
    interval = share_interval(value, standard_error(influences, named), units)
    method = f"wilson by effective size{' over clusters' if clusters else ''}"
    return Measured("mean_per_class_recall", interval, len(right), method)


def half_and_half(ranks: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Each example's part in the mean of top-1 and top-5 (SLIP on Kinetics): 1, 0.5 or 0."""
    return ((ranks <= 1).astype(np.float64) + (ranks <= 5)) / 2


def own(metric: str, outcomes: pa.Table) -> Measured | None:
    """A set's own metric from the outcomes of a classification; None where it is none of those made here.

    `mean_acc1_acc5` needs ranks; `roc_auc` the scores of two classes of which both occur.
    """
    names = set(outcomes.column_names)
    clusters = clusters_in(outcomes)
    if metric == "mean_acc1_acc5" and {"label", "rank"} <= names:
        return credit(metric, half_and_half(outcomes["rank"].to_numpy()), clusters)
    if metric == "roc_auc" and {"label", "score"} <= names:
        positive = outcomes["label"].to_numpy() == 1
        if positive.all() or not positive.any():
            return None
        named = np.asarray(clusters) if clusters else None
        interval, method = area_interval(area(outcomes["score"].to_numpy(), positive, named), named)
        return Measured(metric, interval, len(positive), method)
    return None


def headline(metric: str, measured: Sequence[Measured]) -> str:
    """The one metric that stands for an answer: the set's own, or recall at 5, or the first."""
    names = [one.metric for one in measured]
    return next((name for name in (metric, RETRIEVED) if name in names), names[0])


def clusters_in(outcomes: pa.Table) -> list[str]:
    """The clusters of outcomes; none at all where examples are independent."""
    names = outcomes["cluster"].to_pylist() if "cluster" in outcomes.column_names else []
    return names if None not in names and len(set(names)) < len(names) else []
