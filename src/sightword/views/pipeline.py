"""Pictures to views. Every view of a sample is a pure function of (seed, view, sample id, epoch)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sightword.views.blur import blur
from sightword.views.colour import grayscale, jitter, solarize
from sightword.views.drawn import DrawnColours, Epochs, draw
from sightword.views.geometry import Pictures, cut, sizes_of
from sightword.views.native.kernel import views_of_pixels
from sightword.views.native.library import current
from sightword.words import View


def make_views(
    images: Pictures,
    views: Iterable[View],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Epochs,
    threads: int = 1,
    coloured: bool = True,
) -> dict[View, UInt8[Tensor, "b 3 s s"]]:
    """Every distinct view of every picture, by the native kernel where it is built: the same to the bit.

    Args:
        images: decoded RGB pictures, rows x columns x 3, uint8: a list of any sizes, or one array or
            tensor (b, h, w, 3). A sample's views are the same to the bit in either form and in any batch.
        views: what to make; equal views are made once.
        seed: the run's seed.
        ids: global sample ids, which the randomness is keyed by.
        epochs: the epoch in which each sample is seen, or one for all.
        threads: how many the kernel may use.
        coloured: whether to do the colours as well; otherwise they are left to `on_device.finish`.

    Returns:
        For each distinct view a uint8 tensor (b, 3, size, size).
    """
    assert len(images) == len(ids), f"{len(images)} pictures for {len(ids)} ids"
    distinct = tuple(dict.fromkeys(views))
    kernel = current()
    if kernel is not None:
        return dict(views_of_pixels(kernel, images, distinct, seed, ids, epochs, threads, coloured))
    return {view: torch.from_numpy(_make(images, view, seed, ids, epochs, coloured)) for view in distinct}


def _make(
    images: Pictures, view: View, seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs, coloured: bool
) -> UInt8[np.ndarray, "b 3 s s"]:
    """SLIP's order: crop, jitter, grayscale, blur, solarize (MoCo v3's place), flip.

    The flip is made with the crop, since all that lies between commutes with it.
    """
    drawn = draw(view, sizes_of(images), seed, ids, epochs, coloured)
    pictures = cut(images, drawn.crops, drawn.flipped, view.size)
    recolour(pictures, drawn)
    return pictures


def recolour(pictures: UInt8[np.ndarray, "b 3 s s"], drawn: DrawnColours) -> None:
    """All that is done to the colours of cut pictures, in place."""
    if drawn.jitter is not None:
        jitter(pictures, drawn.jittered, drawn.jitter)
    grayscale(pictures, drawn.gray)
    blur(pictures, drawn.blurred, drawn.sigma)
    solarize(pictures, drawn.solarized)
