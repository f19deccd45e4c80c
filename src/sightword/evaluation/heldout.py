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
    so that pictures of one thing never lie on both sides. Depends on nothing but positions and labels.
    """
    assert train.probed is not None
    labels = train.probed.of[rows]
    units = train.classes.of[rows] if train.groups is not None and train.classes is not None else rows
    distinct, first = np.unique(units, return_index=True)
    draws = uniform(0, stream("held out"), distinct, 0, 1)[:, 0]
    chosen = np.zeros(len(distinct), dtype=np.bool_)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[first] == label)
        chosen[mine[np.argsort(draws[mine], kind="stable")][: floor(SHARE * len(mine))]] = True
    return chosen[np.searchsorted(distinct, units)]
