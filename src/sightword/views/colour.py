"""Colour jitter, grayscale and solarisation of a batch, each sample with its own parameters.

Samples that share an order of the jitter's four steps are worked on together, in blocks that fit the
cache. Every value is made by elementwise arithmetic and by sums of whole numbers, so a sample's pixels cannot
depend on the batch around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from sightword.views.blocks import blocks
from sightword.words import Jitter

Values: TypeAlias = Float[np.ndarray, "n 3 s s"]  # float32, whole levels from 0 to 255
Planes: TypeAlias = Float[np.ndarray, "n s s"]
Amount: TypeAlias = Float[np.ndarray, "n 1 1 1"]

LUMA = (19595, 38470, 7471)  # ITU-R 601-2 (.299, .587, .114) in units of 2^-16, as PIL
ORDERS = tuple(permutations(range(4)))  # of brightness, contrast, saturation, hue
JITTER_DRAWS = 5  # numbers that `draw_jitter` needs for a sample


@dataclass(frozen=True)
class JitterDraw:
    """What a colour jitter does to each sample."""

    order: Int[np.ndarray, " b"]  # which of `ORDERS`
    amounts: Float[np.ndarray, "b 4"]  # factors of brightness, contrast, saturation; turns of hue


def draw_jitter(how: Jitter, draws: Float[np.ndarray, "b 5"]) -> JitterDraw:
    """torchvision's `ColorJitter` parameters from numbers uniform in [0, 1).

    An order of the four steps, factors in [max(0, 1 - strength), 1 + strength], and a turn of the hue
    in [-strength, strength].
    """
    strengths = np.array([how.brightness, how.contrast, how.saturation])
    low = np.append(np.maximum(0.0, 1.0 - strengths), -how.hue)
    high = np.append(1.0 + strengths, how.hue)
    order = (draws[:, 0] * len(ORDERS)).astype(np.int64)
    return JitterDraw(order=order, amounts=low + (high - low) * draws[:, 1:])


def jitter(pictures: UInt8[np.ndarray, "b 3 s s"], chosen: Bool[np.ndarray, " b"], draw: JitterDraw) -> None:
    """`ColorJitter` on the chosen rows of `pictures`, in place.

    Brightness, contrast and saturation are torchvision's on PIL pictures to the bit, whole levels after
    each step included. Deviation: the hue is turned exactly, not by way of 8-bit HSV, whose rounding
    alone moves a pixel by a level or two.
    """
    amounts = draw.amounts.astype(np.float32)[:, :, None, None, None]
    for order in np.unique(draw.order[chosen]):
        same = np.flatnonzero(chosen & (draw.order == order))
        for rows in blocks(same, pictures.shape[-1]):
            x = pictures[rows].astype(np.float32)
            for step in ORDERS[order]:
                x = _STEPS[step](x, amounts[rows, step])
            pictures[rows] = x


def grayscale(pictures: UInt8[np.ndarray, "b 3 s s"], chosen: Bool[np.ndarray, " b"]) -> None:
    """The chosen rows in gray, in place, to the bit as PIL's `convert("L")`."""
    for rows in blocks(np.flatnonzero(chosen), pictures.shape[-1]):
        pictures[rows] = _gray(pictures[rows].astype(np.float32))


def solarize(pictures: UInt8[np.ndarray, "b 3 s s"], chosen: Bool[np.ndarray, " b"]) -> None:
    """Every value from 128 up turned into 255 minus itself in the chosen rows, in place."""
    x = pictures[chosen]
    pictures[chosen] = np.minimum(x, 255 - x)


def _brighten(x: Values, factor: Amount) -> Values:
    x *= factor
    return _whole_levels(x)


def _contrast(x: Values, factor: Amount) -> Values:
    """Away from the picture's mean gray, a whole level."""
    gray = _gray(x)
    mean = gray.sum(axis=(2, 3), keepdims=True, dtype=np.float64) / gray[0].size
    return _blend(x, np.floor(mean + 0.5).astype(np.float32), factor)


def _saturate(x: Values, factor: Amount) -> Values:
    """Away from each pixel's gray."""
    return _blend(x, _gray(x), factor)


def _blend(x: Values, origin: Float[np.ndarray, "n 1 _ _"], factor: Amount) -> Values:
    x -= origin
    x *= factor
    x += origin
    return _whole_levels(x)


def _whole_levels(x: Values) -> Values:
    np.clip(x, 0, 255, out=x)
    return np.floor(x, out=x)


def _gray(x: Values) -> Float[np.ndarray, "n 1 s s"]:
    """PIL's mode L, to the bit: its whole-number arithmetic fits the 24 bits of a float32."""
    gray = x[:, :1] * np.float32(LUMA[0])
    gray += x[:, 1:2] * np.float32(LUMA[1])
    gray += x[:, 2:] * np.float32(LUMA[2])
    gray += 2**15
    gray *= 2**-16
    return np.floor(gray, out=gray)


def _turn_hue(x: Values, turns: Amount) -> Values:
    """HSV with another hue, value and chroma kept: the channels move along the hexagon."""
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    hue, value, chroma = _hexagon(red, green, blue)
    hue += 6 * turns[:, 0]
    hue -= 6 * np.floor(hue / 6)
    for channel, (centre, rising) in enumerate(((3, True), (2, False), (4, False))):
        away = np.abs(hue - centre)
        share = away - 1 if rising else 2 - away  # of the chroma that this channel shows
        np.clip(share, 0, 1, out=share)
        share -= 1
        share *= chroma
        np.add(value, share, out=x[:, channel])
    return np.rint(x, out=x)


def _hexagon(red: Planes, green: Planes, blue: Planes) -> tuple[Planes, Planes, Planes]:
    """HSV's hue in sixths of a turn, its value, and the chroma; hue is some number where there is no chroma.

    Sorting the channels by two exchanges leads to one formula for all six sides, without branches.
    """
    high, low = np.maximum(green, blue), np.minimum(green, blue)
    side = -6 * (green < blue).astype(np.float32)  # masks as numbers: np.where is 10 times slower
    side -= (red < high).astype(np.float32) * (2 + 2 * side)
    value, middle = np.maximum(red, high), np.minimum(red, high)
    chroma = value - np.minimum(middle, low)
    middle -= low
    middle /= np.maximum(chroma, np.float32(1e-6))
    side += middle
    return np.abs(side, out=side), value, chroma


_STEPS = (_brighten, _contrast, _saturate, _turn_hue)
