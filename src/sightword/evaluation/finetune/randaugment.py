"""RandAugment (Cubuk et al., 1909.13719), as timm's `rand-m9-mstd0.5-inc1`: stronger with the magnitude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageEnhance, ImageOps
from scipy.special import ndtri

from sightword.randomness import stream, uniform
from sightword.views.drawn import Epochs

MOST = 10.0  # the magnitude at which an operation is at its strongest
_DRAWS = 4
Fill = tuple[int, int, int]
Operation = Callable[[Image.Image, float, Fill], Image.Image]  # strength from -1 to 1


@dataclass(frozen=True)
class RandAugment:
    """Some of the operations, one after the other, each drawn anew from all of them.

    magnitude: of `MOST`.
    deviation: of the normal noise that is added to it (timm's; the paper has none); then cut to [0, MOST].
    layers: operations a picture.
    p: probability that a drawn operation is done (timm's; the paper has the identity among its operations).
    """

    magnitude: float = 9.0
    deviation: float = 0.5
    layers: int = 2
    p: float = 0.5


@dataclass(frozen=True)
class Step:
    """One operation on one picture; `strength` from -1 to 1."""

    operation: Operation
    strength: float


def draw_steps(how: RandAugment, seed: int, ids: Int[np.ndarray, " b"], epochs: Epochs) -> list[list[Step]]:
    """What is done to each picture: a pure function of (seed, sample id, epoch)."""
    draws = uniform(seed, stream("randaugment", how), ids, epochs, _DRAWS * how.layers)
    return [
        [step for numbers in own.reshape(how.layers, _DRAWS) if (step := _step(how, *numbers.tolist()))]
        for own in draws
    ]


def _step(how: RandAugment, which: float, whether: float, noise: float, side: float) -> Step | None:
    if whether >= how.p:
        return None
    magnitude = how.magnitude + how.deviation * float(ndtri(max(noise, 2.0**-54)))
    strength = min(MOST, max(0.0, magnitude)) / MOST
    return Step(OPERATIONS[int(which * len(OPERATIONS))], strength if side < 0.5 else -strength)


def apply_steps(
    picture: UInt8[np.ndarray, "h w 3"], steps: list[Step], fill: Fill
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture after all its steps; what comes in from outside is `fill`."""
    if not steps:
        return picture
    image = Image.fromarray(picture)
    for step in steps:
        image = step.operation(image, step.strength, fill)
    return np.array(image)


def auto_contrast(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Each channel stretched over all levels."""
    return ImageOps.autocontrast(image)


def equalize(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Each channel's histogram made even."""
    return ImageOps.equalize(image)


def invert(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """255 minus each level."""
    return ImageOps.invert(image)


def rotate(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Turned by up to 30 degrees, counter-clockwise where the strength is positive."""
    return image.rotate(30 * strength, Image.Resampling.BICUBIC, fillcolor=fill)


def posterize(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Only the upper bits of each level are kept: 4 down to 0, which Pillow's own function refuses."""
    lost = 255 >> (4 - int(4 * abs(strength)))
    return image.point([level & ~lost for level in range(256)] * 3)


def solarize(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Levels from a threshold up inverted: from 256, where nothing is, down to 0."""
    return ImageOps.solarize(image, 256 - int(256 * abs(strength)))


def solarize_add(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Up to 110 added to levels below 128."""
    more = int(110 * abs(strength))
    return image.point([level + more if level < 128 else level for level in range(256)] * 3)


def colour(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Less or more saturated."""
    return ImageEnhance.Color(image).enhance(_factor(strength))


def contrast(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Less or more contrast."""
    return ImageEnhance.Contrast(image).enhance(_factor(strength))


def brightness(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Darker or brighter."""
    return ImageEnhance.Brightness(image).enhance(_factor(strength))


def sharpness(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Smoother or sharper."""
    return ImageEnhance.Sharpness(image).enhance(_factor(strength))


def shear_x(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Rows moved sideways by up to .3 of their height in the picture."""
    return _affine(image, (1, 0.3 * strength, 0, 0, 1, 0), fill)


def shear_y(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Columns moved up or down by up to .3 of their place in the picture."""
    return _affine(image, (1, 0, 0, 0.3 * strength, 1, 0), fill)


def translate_x(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Moved sideways by up to .45 of the width."""
    return _affine(image, (1, 0, 0.45 * strength * image.width, 0, 1, 0), fill)


def translate_y(image: Image.Image, strength: float, fill: Fill) -> Image.Image:
    """Moved up or down by up to .45 of the height."""
    return _affine(image, (1, 0, 0, 0, 1, 0.45 * strength * image.height), fill)


def _affine(image: Image.Image, matrix: tuple[int | float, ...], fill: Fill) -> Image.Image:
    bicubic = Image.Resampling.BICUBIC
    return image.transform(image.size, Image.Transform.AFFINE, matrix, bicubic, fillcolor=fill)


def _factor(strength: float) -> float:
    """Of a blend that does nothing at 1: from .1 to 1.9."""
    return max(0.1, 1 + 0.9 * strength)


OPERATIONS: tuple[Operation, ...] = (
    auto_contrast,
    equalize,
    invert,
    rotate,
    posterize,
    solarize,
    solarize_add,
    colour,
    contrast,
    brightness,
    sharpness,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)
