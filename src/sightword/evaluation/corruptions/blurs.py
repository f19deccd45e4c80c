"""Blur: out of focus, through glass, in motion, while zooming. Lengths grow with the picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy import ndimage

from sightword.evaluation.corruptions.pixels import Values, filtered, gaussian, motion, sampled, zoomed

DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius, blur of its edge
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # blur, how far, how often
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, sigma
ZOOM = ((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))  # how many factors from 1 on, and by what
FINE = 9  # parts of a pixel in each direction, to see how much of it lies in a disk


def defocus_blur(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Each point becomes a disk.

    Deviation: of a pixel on the disk's edge the part inside counts, where the paper's code takes or leaves it
    whole and softens the edge afterwards; so radii need not be whole.
    """
    radius, edge = DEFOCUS[severity - 1]
    return filtered(picture, disk(radius * unit, edge * unit), "reflect")


def glass_blur(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Blurred, each pixel replaced by one nearby, blurred again.

    Deviation: all pixels of a pass move at once, each to where it was before the pass; the paper's code goes
    from pixel to pixel. As there, a pixel is copied rather than swapped, and from -d to d - 1 pixels away; in
    pictures of another size those are parts of pixels, taken bilinearly.
    """
    sigma, far, passes = GLASS[severity - 1]
    made = gaussian(picture, sigma * unit)
    places = np.indices(picture.shape[:2])
    for _ in range(passes):
        away = places + unit * chance.integers(-far, far, size=places.shape)
        made = sampled(made, away[0], away[1], "nearest")
    return gaussian(made, sigma * unit)


def motion_blur(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Along a line of up to 45 degrees up or down."""
    radius, sigma = MOTION[severity - 1]
    return motion(picture, radius * unit, sigma * unit, chance.uniform(-45, 45))


def zoom_blur(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """The mean of the picture and of itself zoomed by growing factors, 1 among them."""
    count, step = ZOOM[severity - 1]
    total = picture.astype(np.float64)
    for i in range(count):
        total += zoomed(picture, 1 + i * step)
    return (total / (count + 1)).astype(np.float32)


def disk(radius: float, edge: float) -> Float64[np.ndarray, "k k"]:
    """Weights of a disk, of sum 1, softened at its edge."""
    reach = int(np.ceil(radius + 4 * edge))
    fine = (np.arange((2 * reach + 1) * FINE) + 0.5) / FINE - reach - 0.5
    inside = (fine[:, None] ** 2 + fine[None] ** 2 <= radius**2).astype(np.float64)
    weights = inside.reshape(2 * reach + 1, FINE, 2 * reach + 1, FINE).mean(axis=(1, 3))
    soft = ndimage.gaussian_filter(weights, edge, mode="constant")
    return soft / soft.sum()
