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
CHANCES = 5  # numbers that decide of flip, jitter, grayscale, blur and solarisation


@dataclass(frozen=True)
class DrawnColours:
    """One view of a batch: what is done to each sample's colours, blur included.

    jitter: None where the view has none.
    blurred: the rows that are blurred, and `sigma` their standard deviations, pixels of the view.
    """

    jittered: Bool[np.ndarray, " b"]
    jitter: JitterDraw | None
    gray: Bool[np.ndarray, " b"]
    blurred: Int[np.ndarray, " n"]
    sigma: Float[np.ndarray, " n"]
    solarized: Bool[np.ndarray, " b"]


@dataclass(frozen=True)
class Drawn(DrawnColours):
    """One view of a batch: what is done to each sample.

    crops: top, left, height, width, pixels of the sample's picture.
    """

    crops: Int[np.ndarray, "b 4"]
    flipped: Bool[np.ndarray, " b"]


def draw(
    view: View,
    sizes: Int[np.ndarray, "b 2"],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Epochs,
    coloured: bool = True,
) -> Drawn:
    """A pure function of (seed, view, sample id, epoch) and of the picture's height and width.

    Not `coloured`, it has the same crops and flips, and leaves every sample's colours alone.
    """
    numbers = uniform(seed, stream("crop", view), ids, epochs, CROP_DRAWS)
    chance = uniform(seed, stream("chance", view), ids, epochs, CHANCES)
    colours = draw_colours(view, seed, ids, epochs) if coloured else no_colours(len(ids))
    return Drawn(**vars(colours), crops=boxes(sizes, view, numbers), flipped=chance[:, 0] < view.flip)


def no_colours(count: int) -> DrawnColours:
    """Nothing is done to the colours of `count` samples."""
    none = np.zeros(count, dtype=bool)
    return DrawnColours(none, None, none, np.zeros(0, dtype=np.int64), np.zeros(0), none)


def draw_colours(view: View, seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs) -> DrawnColours:
    """The colours of `draw`: a pure function of (seed, view, sample id, epoch), whatever the picture."""

    def numbers(purpose: str, count: int) -> Float[np.ndarray, "b count"]:
        return uniform(seed, stream(purpose, view), ids, epochs, count)

    chance = numbers("chance", CHANCES)
    jittered = chance[:, 1] < view.jitter.p if view.jitter else np.zeros(len(ids), dtype=bool)
    blurred = np.flatnonzero(chance[:, 3] < view.blur)
    low, high = view.sigma
    return DrawnColours(
        jittered=jittered,
        jitter=draw_jitter(view.jitter, numbers("jitter", JITTER_DRAWS)) if view.jitter else None,
        gray=chance[:, 2] < view.grayscale,
        blurred=blurred,
        sigma=low + (high - low) * numbers("sigma", 1)[blurred, 0] if len(blurred) else np.zeros(0),
        solarized=chance[:, 4] < view.solarize,
    )
