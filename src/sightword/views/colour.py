"""Colour jitter, grayscale and solarisation of a batch, each sample with its own parameters.

Samples that share an order of the jitter's four steps are worked on together, in blocks that fit the
cache: 8 bits between steps, float32 or 16-bit integers inside. Every value is made by elementwise
arithmetic and by sums of whole numbers that float32 holds, so a sample's pixels cannot depend on the batch
around it, nor on the order in which a processor adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from sightword.views.blocks import blocks
from sightword.views.hue import turn_hue
from sightword.words import Jitter

Values: TypeAlias = Float[np.ndarray, "n 3 s s"]  # float32
Levels: TypeAlias = UInt8[np.ndarray, "n 3 s s"]
Amount: TypeAlias = Float[np.ndarray, "n 1 1 1"]  # float32

LUMA = torch.tensor([[19595.0, 38470.0, 7471.0]]) / 2**16  # ITU-R 601-2 (.299, .587, .114) as PIL has it
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
        for rows in blocks(same, 3 * pictures.shape[-1] ** 2):
            x = pictures[rows]
            for step in ORDERS[order]:
                _STEPS[step](x, amounts[rows, step])
            pictures[rows] = x


def grayscale(pictures: UInt8[np.ndarray, "b 3 s s"], chosen: Bool[np.ndarray, " b"]) -> None:
    """The chosen rows in gray, in place, to the bit as PIL's `convert("L")`."""
    for rows in blocks(np.flatnonzero(chosen), 3 * pictures.shape[-1] ** 2):
        pictures[rows] = _gray(pictures[rows].astype(np.float32))


def solarize(pictures: UInt8[np.ndarray, "b 3 s s"], chosen: Bool[np.ndarray, " b"]) -> None:
    """Every value from 128 up turned into 255 minus itself in the chosen rows, in place."""
    x = pictures[chosen]
    pictures[chosen] = np.minimum(x, 255 - x)


def _brighten(x: Levels, factor: Amount) -> None:
    values = x.astype(np.float32)
    values *= factor
    _store(values, factor, x)


def _contrast(x: Levels, factor: Amount) -> None:
    """Away from the picture's mean gray, a whole level."""
    values = x.astype(np.float32)
    gray = _gray(values)
    mean = gray.sum(axis=3).sum(axis=2, keepdims=True, dtype=np.float64)[..., None] / gray[0].size
    _blend(values, np.floor(mean + 0.5).astype(np.float32), factor, x)


def _saturate(x: Levels, factor: Amount) -> None:
    """Away from each pixel's gray."""
    values = x.astype(np.float32)
    _blend(values, _gray(values), factor, x)


def _turn(x: Levels, turns: Amount) -> None:
    turn_hue(x.reshape(len(x), 3, -1), turns[:, :, 0, 0])


def _blend(values: Values, origin: Float[np.ndarray, "n 1 _ _"], factor: Amount, x: Levels) -> None:
    values -= origin
    values *= factor
    values += origin
    _store(values, factor, x)


def _store(values: Values, factor: Amount, x: Levels) -> None:
    """The whole level below each value. Only a factor above one leads out of 0 to 255."""
    if factor.max() > 1:
        torch.from_numpy(values).clamp_(0, 255)  # twice as fast as numpy's
    np.copyto(x, values, casting="unsafe")


def _gray(values: Values) -> Float[np.ndarray, "n 1 s s"]:
    """PIL's mode L, to the bit: its whole-number arithmetic fits the 24 bits of a float32."""
    count, _, height, width = values.shape
    gray: np.ndarray = torch.matmul(LUMA, torch.from_numpy(values).view(count, 3, -1)).numpy()
    gray += 0.5
    return np.floor(gray, out=gray).reshape(count, 1, height, width)


_STEPS = (_brighten, _contrast, _saturate, _turn)
