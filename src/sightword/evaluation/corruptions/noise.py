"""Noise of a sensor: Gaussian, shot and impulse. Levels are of single values, so they do not hang on size."""

from __future__ import annotations

import numpy as np

from sightword.evaluation.corruptions.pixels import Values

GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation
SHOT = (60, 25, 12, 5, 3)  # photons at full brightness
IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)  # share of values that become 0 or 1


def gaussian_noise(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Each value plus a normal number."""
    return picture + GAUSSIAN[severity - 1] * chance.standard_normal(picture.shape, dtype=np.float32)


def shot_noise(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Each value as the count of photons that arrived, over how many would at full brightness."""
    photons = SHOT[severity - 1]
    return (chance.poisson(picture * photons) / photons).astype(np.float32)


def impulse_noise(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """A share of the values becomes 0 or 1, either equally likely."""
    drawn = chance.random(picture.shape)
    hit = IMPULSE[severity - 1]
    salt_and_pepper = (drawn < hit / 2).astype(np.float32)
    return np.where(drawn < hit, salt_and_pepper, picture)
