"""From encoded files to all their views: each file is decoded once, whatever is made of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from torch import Tensor

from sightword.errors import BadSample
from sightword.views.decode import decode
from sightword.views.pipeline import make_views
from sightword.words import View


@dataclass(frozen=True)
class Made:
    """Views of a batch, and what their making took.

    views: for each distinct view a uint8 tensor (b, 3, size, size); rows of bad files are black.
    bad: the rows whose file could not be read, and why.
    seconds: processor time spent in `decode` and in `views`.
    """

    views: Mapping[View, UInt8[Tensor, "b 3 s s"]]
    bad: Mapping[int, BadSample]
    seconds: Mapping[str, float]


def views_of_files(
    files: Sequence[bytes],
    keys: Sequence[str],
    views: Iterable[View],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Int[np.ndarray, " b"],
) -> Made:
    """Every distinct view of every file.

    Args:
        files: pictures as stored: JPEG, PNG, WebP, ...
        keys: their names, for errors.
        views: what to make; equal views are made once.
        seed: the run's seed.
        ids: global sample ids, which the randomness is keyed by.
        epochs: the epoch in which each sample is seen.
    """
    start = time.perf_counter()
    pictures, bad = [], {}
    for row, (file, key) in enumerate(zip(files, keys, strict=True)):
        try:
            pictures.append(decode(file, key))
        except BadSample as error:
            bad[row] = error
            pictures.append(np.zeros((1, 1, 3), dtype=np.uint8))
    between = time.perf_counter()
    made = make_views(pictures, views, seed, ids, epochs)
    return Made(made, bad, {"decode": between - start, "views": time.perf_counter() - between})
