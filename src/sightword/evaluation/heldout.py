"""A split of the training part, on which probes choose their settings. Test parts are never looked at."""

from __future__ import annotations

from math import floor

import numpy as np
from jaxtyping import Bool, Int64

from sightword.evaluation.labelled import LabelledSet
from sightword.randomness import stream, uniform

SHARE = 0.2


def held_out(train: LabelledSet, rows: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """True for the fifth of these samples that is held out, shape (n,).

    Of every label a fifth of the samples; where labels are groups of classes, a fifth of the classes, whole,
    and of clusters of samples a fifth of the clusters, so that pictures of one thing never lie on both sides.
    Depends on nothing but positions, labels and clusters.
    """
    assert train.probed is not None
    labels = train.probed.of[rows]
    units = _units(train, rows)
    distinct, first = np.unique(units, return_index=True)
    draws = uniform(0, stream("held out"), distinct, 0, 1)[:, 0]
    chosen = np.zeros(len(distinct), dtype=np.bool_)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[first] == label)
        chosen[mine[np.argsort(draws[mine], kind="stable")][: floor(SHARE * len(mine))]] = True
    return chosen[np.searchsorted(distinct, units)]


def _units(train: LabelledSet, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """A number for each sample; those that belong together have one."""
    if train.groups is not None and train.classes is not None:
        return train.classes.of[rows]
    if train.clusters:
        _, first, of = np.unique(train.clusters_of(rows), return_index=True, return_inverse=True)
        return rows[first][of]
    return rows
