"""What chance makes of each sample in one view, apart from its crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from sightword.randomness import stream, uniform
from sightword.views.colour import JITTER_DRAWS, JitterDraw, draw_jitter
from sightword.views.geometry import CROP_DRAWS, boxes
from sightword.words import View

Epochs: TypeAlias = Int[np.ndarray, " b"] | int


@dataclass(frozen=True)
class Drawn:
    """One view of a batch: what is done to each sample.

    crops: top, left, height, width, pixels of the sample's picture.
    jitter: None where the view has none.
    blurred: the rows that are blurred, and `sigma` their standard deviations, pixels of the view.
    """

    crops: Int[np.ndarray, "b 4"]
    flipped: Bool[np.ndarray, " b"]
    jittered: Bool[np.ndarray, " b"]
    jitter: JitterDraw | None
    gray: Bool[np.ndarray, " b"]
    blurred: Int[np.ndarray, " n"]
    sigma: Float[np.ndarray, " n"]
    solarized: Bool[np.ndarray, " b"]


def draw(
    view: View, sizes: Int[np.ndarray, "b 2"], seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs
) -> Drawn:
    """A pure function of (seed, view, sample id, epoch) and of the picture's height and width."""

    def numbers(purpose: str, count: int) -> Float[np.ndarray, "b count"]:
        return uniform(seed, stream(purpose, view), ids, epochs, count)

    chance = numbers("chance", 5)
    jittered = chance[:, 1] < view.jitter.p if view.jitter else np.zeros(len(ids), dtype=bool)
    blurred = np.flatnonzero(chance[:, 3] < view.blur)
    low, high = view.sigma
    return Drawn(
        crops=boxes(sizes, view, numbers("crop", CROP_DRAWS)),
        flipped=chance[:, 0] < view.flip,
        jittered=jittered,
        jitter=draw_jitter(view.jitter, numbers("jitter", JITTER_DRAWS)) if view.jitter else None,
        gray=chance[:, 2] < view.grayscale,
        blurred=blurred,
        sigma=low + (high - low) * numbers("sigma", 1)[blurred, 0] if len(blurred) else np.zeros(0),
        solarized=chance[:, 4] < view.solarize,
    )
