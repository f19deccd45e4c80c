"""How far each test example pulls a metric: what several runs' chance of examples is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from sightword.evaluation.differences import metrics, rank_of, rows_of
from sightword.evaluation.measures import clusters_in, half_and_half
from sightword.evaluation.outcomes import Outcomes
from sightword.evaluation.roc import area
from sightword.statistics import class_mean


@dataclass(frozen=True, eq=False)
class Pulled:
    """A metric and its influences.

    value: the metric.
    influences: of each unit, an example or a cluster of them, in the order of their keys or names, shape
        (units,). Their squares sum to the metric's variance; products of two runs' sum to the covariance.
    units: a digest-able name of each, in the same order.
    """

    value: float
    influences: Float64[np.ndarray, " units"]
    units: tuple[str, ...]


def pulled(outcomes: Outcomes, metric: str) -> Pulled | None:
    """The influences of a metric; None where its outcomes are not made example by example."""
    if metric not in metrics(outcomes):
        return None
    rows = rows_of(outcomes, metric)
    value, parts = _parts(rows, metric)
    clusters = clusters_in(rows)
    if not clusters:
        return Pulled(value, parts, tuple(rows["key"].to_pylist()))
    names, which = np.unique(np.asarray(clusters), return_inverse=True)
    return Pulled(value, np.bincount(which, parts), tuple(names.tolist()))


def _parts(rows: pa.Table, metric: str) -> tuple[float, Float64[np.ndarray, " n"]]:
    """The metric and how far each example pulls it, as `pairing` computes both."""
    clusters = np.asarray(clusters_in(rows)) if clusters_in(rows) else None
    if metric == "roc_auc":
        found = area(rows["score"].to_numpy(), rows["label"].to_numpy() == 1, clusters)
        return found.value, found.influences
    if metric == "mean_per_class_recall":
        return class_mean(rows["rank"].to_numpy() <= 1, rows["label"].to_numpy(), clusters)
    if metric == "mean_acc1_acc5":
        values = half_and_half(rows["rank"].to_numpy())
    elif k := rank_of(metric):
        values = (rows["rank"].to_numpy() <= k).astype(np.float64)
    else:
        values = rows[metric].to_numpy(zero_copy_only=False).astype(np.float64)
    mean = float(values.mean())
    return mean, (values - mean) / len(values)
