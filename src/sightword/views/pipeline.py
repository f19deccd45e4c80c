"""Pictures to views. Every view of a sample is a pure function of (seed, view, sample id, epoch)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightword.randomness import stream, uniform
from sightword.views.blur import blur
from sightword.views.colour import JITTER_DRAWS, draw_jitter, grayscale, jitter, solarize
from sightword.views.geometry import CROP_DRAWS, Pictures, boxes, cut, sizes_of
from sightword.words import View

Epochs: TypeAlias = Int[np.ndarray, " b"] | int


def make_views(
    images: Pictures, views: Iterable[View], seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs
) -> dict[View, UInt8[Tensor, "b 3 s s"]]:
    """Every distinct view of every picture.

    Args:
        images: decoded RGB pictures, rows x columns x 3, uint8: a list of any sizes, or one array or
            tensor (b, h, w, 3). A sample's views are the same to the bit in either form and in any batch.
        views: what to make; equal views are made once.
        seed: the run's seed.
        ids: global sample ids, which the randomness is keyed by.
        epochs: the epoch in which each sample is seen, or one for all.

    Returns:
        For each distinct view a uint8 tensor (b, 3, size, size).
    """
    assert len(images) == len(ids), f"{len(images)} pictures for {len(ids)} ids"
    return {view: torch.from_numpy(_make(images, view, seed, ids, epochs)) for view in dict.fromkeys(views)}


def _make(
    images: Pictures, view: View, seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs
) -> UInt8[np.ndarray, "b 3 s s"]:
    """SLIP's order: crop, jitter, grayscale, blur, solarize (MoCo v3's place), flip.

    The flip is made with the crop, since all that lies between commutes with it.
    """

    def draw(purpose: str, count: int) -> Float[np.ndarray, "b count"]:
        return uniform(seed, stream(purpose, view), ids, epochs, count)

    crops = boxes(sizes_of(images), view, draw("crop", CROP_DRAWS))
    chance = draw("chance", 5)
    pictures = cut(images, crops, chance[:, 0] < view.flip, view.size)
    if view.jitter is not None:
        jitter(pictures, chance[:, 1] < view.jitter.p, draw_jitter(view.jitter, draw("jitter", JITTER_DRAWS)))
    grayscale(pictures, chance[:, 2] < view.grayscale)
    blurred = np.flatnonzero(chance[:, 3] < view.blur)
    low, high = view.sigma
    blur(pictures, blurred, low + (high - low) * draw("sigma", 1)[blurred, 0])
    solarize(pictures, chance[:, 4] < view.solarize)
    return pictures
