"""Random erasing (Zhong et al., 1708.04896): a rectangle of a picture becomes noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.special import ndtri

from sightword.randomness import stream, uniform
from sightword.views.drawn import Epochs

TRIES = 10
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Erasing:
    """Algorithm 1 of the paper, its noise and its ranges as timm has them and BEiT uses them.

    p: probability that a picture is erased.
    area: of the rectangle, a share of the picture. The paper's upper end is .4.
    aspect: height by width, drawn evenly in its logarithm. The paper draws it evenly.
    """

    p: float = 0.25
    area: tuple[float, float] = (0.02, 1 / 3)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)


def boxes(
    how: Erasing, shape: tuple[int, int], seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs
) -> Int[np.ndarray, "b 4"]:
    """Top, left, height and width of what is erased of each picture; height 0 where nothing is.

    The first of ten rectangles that is smaller than the picture both ways; if none is, nothing is erased.
    A pure function of (seed, sample id, epoch).

    Args:
        how: ranges and probability.
        shape: height and width of the pictures, pixels.
        seed, ids, epochs: as for views.
    """
    draws = uniform(seed, stream("erase", how), ids, epochs, 3 + 2 * TRIES)
    areas, ratios = draws[:, 3 : 3 + TRIES], draws[:, 3 + TRIES :]
    low, high = np.log(how.aspect)
    area = shape[0] * shape[1] * (how.area[0] + (how.area[1] - how.area[0]) * areas)
    aspect = np.exp(low + (high - low) * ratios)
    sides = np.rint(np.sqrt(np.stack([area * aspect, area / aspect], axis=2))).astype(np.int64)
    inside = ((sides > 0) & (sides < np.array(shape))).all(axis=2)
    erased = inside.any(axis=1) & (draws[:, 0] < how.p)
    first = sides[np.arange(len(sides)), inside.argmax(axis=1)] * erased[:, None]
    corners = (draws[:, 1:3] * (np.array(shape) - first + 1)).astype(np.int64)
    return np.concatenate([corners, first], axis=1)


def erase(
    pictures: UInt8[np.ndarray, "b 3 h w"],
    how: Erasing,
    colour: tuple[Colour, Colour],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Int[np.ndarray, " b"],
) -> None:
    """Fill the rectangles with a normal draw for each pixel and channel ("pixel" mode), in place.

    Deviation: timm erases normalised floats; here pictures are bytes that the tower normalises, so the noise
    is rounded to a level and cut off at 0 and 255, some two deviations out.

    Args:
        pictures: RGB.
        how: ranges and probability.
        colour: mean and deviation of the noise by channel, in [0, 1]: those that the tower normalises with.
        seed, ids, epochs: as for views.
    """
    mean, deviation = (np.array(part)[:, None, None] for part in colour)
    places = boxes(how, (pictures.shape[2], pictures.shape[3]), seed, ids, epochs)
    for row in np.flatnonzero(places[:, 2]):
        top, left, height, width = places[row].tolist()
        noise = _normal(seed, int(ids[row]), int(epochs[row]), 3 * height * width).reshape(3, height, width)
        levels = np.rint(255 * (mean + deviation * noise)).clip(0, 255).astype(np.uint8)
        pictures[row, :, top : top + height, left : left + width] = levels


def _normal(seed: int, sample: int, epoch: int, count: int) -> Float[np.ndarray, " count"]:
    draws = uniform(seed, stream("erase noise"), np.array([sample]), epoch, count)[0]
    return np.asarray(ndtri(np.maximum(draws, 2.0**-54)))
