"""From encoded files to all their views: each file is decoded once, whatever is made of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sightword.errors import BadSample
from sightword.views.decode import MAX_PIXELS, decode, is_upright_jpeg
from sightword.views.native.kernel import views_of_jpegs
from sightword.views.native.library import current
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
    threads: int = 1,
    coloured: bool = True,
) -> Made:
    """Every distinct view of every file.

    Plain JPEG files go through the native kernel where it is built. All others, and those that it does not
    take, are decoded as `decode` does it, whose word on what is bad holds in any case.

    Args:
        files: pictures as stored: JPEG, PNG, WebP, ...
        keys: their names, for errors.
        views: what to make; equal views are made once.
        seed: the run's seed.
        ids: global sample ids, which the randomness is keyed by.
        epochs: the epoch in which each sample is seen.
        threads: how many the native kernel may use.
        coloured: whether to do the colours as well; otherwise they are left to `on_device.finish`.
    """
    assert len(files) == len(keys) == len(ids), f"{len(files)} files, {len(keys)} keys, {len(ids)} ids"
    distinct = tuple(dict.fromkeys(views))
    kernel = current()
    if kernel is None or kernel.jpeg is None:
        return _decoded(files, keys, distinct, seed, ids, epochs, threads, coloured)
    plain = [file if is_upright_jpeg(file) else None for file in files]
    made, done, spent = views_of_jpegs(
        kernel, plain, distinct, seed, ids, epochs, MAX_PIXELS, threads, coloured
    )
    seconds = {"decode": float(spent[0]), "views": float(spent[1])}
    rest = np.flatnonzero(~done)
    if len(rest) == 0:
        return Made(made, {}, seconds)
    some = rest.tolist()
    few, names = [files[i] for i in some], [keys[i] for i in some]
    others = _decoded(few, names, distinct, seed, ids[rest], epochs[rest], threads, coloured)
    for view, pixels in made.items():
        pixels[torch.from_numpy(rest)] = others.views[view]
    bad = {some[row]: error for row, error in others.bad.items()}
    return Made(made, bad, {stage: spent + others.seconds[stage] for stage, spent in seconds.items()})


def _decoded(
    files: Sequence[bytes],
    keys: Sequence[str],
    views: Sequence[View],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Int[np.ndarray, " b"],
    threads: int,
    coloured: bool,
) -> Made:
    """By way of whole pictures: any format, with or without the kernel."""
    start = time.thread_time()
    pictures, bad = [], {}
    for row, (file, key) in enumerate(zip(files, keys, strict=True)):
        try:
            pictures.append(decode(file, key))
        except BadSample as error:
            bad[row] = error
            pictures.append(np.zeros((1, 1, 3), dtype=np.uint8))
    between = time.thread_time()
    made = make_views(pictures, views, seed, ids, epochs, threads, coloured)
    return Made(made, bad, {"decode": between - start, "views": time.thread_time() - between})
