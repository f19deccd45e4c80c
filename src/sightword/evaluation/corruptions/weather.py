"""Weather: snow, fog and brightness. Frost is left out: it needs photographs that are not ours to give."""

from __future__ import annotations

import numpy as np

from sightword.evaluation.corruptions.pixels import Layer, Values, motion, zoomed

SNOW = (  # flakes' mean, deviation, size and threshold, their fall's radius and sigma, share of the picture
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # amount, how fast small structure fades
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value
GRAY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
ROUGH = 100.0  # of the fog's largest structure


def snow(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Flakes that fall, twice, before a picture that has become pale."""
    mean, deviation, size, threshold, radius, sigma, share = SNOW[severity - 1]
    flakes = chance.normal(mean, deviation, picture.shape[:2]).astype(np.float32)
    flakes = zoomed(flakes[..., None], max(1.0, size * unit))
    flakes[flakes < threshold] = 0
    falling = motion(flakes.clip(0, 1), radius * unit, sigma * unit, chance.uniform(-135, -45))
    pale = np.maximum(picture, (picture @ GRAY)[..., None] * 1.5 + 0.5)
    return share * picture + (1 - share) * pale + falling + falling[::-1, ::-1]


def fog(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """A plasma fractal laid over the picture, and the whole darkened to the brightness it had."""
    amount, decay = FOG[severity - 1]
    brightest = picture.max()
    side = max(picture.shape[:2])
    plasma = plasma_fractal(1 << (side - 1).bit_length(), decay, chance)[
        : picture.shape[0], : picture.shape[1]
    ]
    return (picture + amount * plasma[..., None]) * (brightest / (brightest + amount))


def brightness(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """More of the value of hue, saturation and value: all channels in proportion."""
    value = picture.max(axis=2, keepdims=True)
    brighter = np.minimum(value + BRIGHTNESS[severity - 1], 1.0)
    black = value == 0
    return np.where(black, brighter, picture * (brighter / np.where(black, 1, value))).astype(np.float32)


def plasma_fractal(side: int, decay: float, chance: np.random.Generator) -> Layer:
    """Heights between 0 and 1 by the diamond-square algorithm (Fournier and others 1982), on a torus.

    Each new point is the mean of its four neighbours plus a uniform number, whose range is the square of one
    that is divided by `decay` from level to level. `side` is a power of two.
    """
    heights = np.zeros((side, side))
    step, rough = side, ROUGH
    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        below = np.roll(corners, -1, axis=0)
        centres = _between(
            corners + below + np.roll(corners, -1, axis=1) + np.roll(below, -1, axis=1), rough, chance
        )
        heights[half::step, half::step] = centres
        beside = corners + np.roll(corners, -1, axis=1) + centres + np.roll(centres, 1, axis=0)
        heights[::step, half::step] = _between(beside, rough, chance)
        above = corners + below + centres + np.roll(centres, 1, axis=1)
        heights[half::step, ::step] = _between(above, rough, chance)
        step, rough = half, rough / decay
    heights -= heights.min()
    return (heights / heights.max()).astype(np.float32)


def _between(four: np.ndarray, rough: float, chance: np.random.Generator) -> np.ndarray:
    return four / 4 + rough * chance.uniform(-rough, rough, four.shape)
