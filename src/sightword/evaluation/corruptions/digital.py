"""What software does to pictures: contrast, elastic stretching, large pixels, JPEG."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float64
from PIL import Image
from scipy import fft

from sightword.evaluation.corruptions.pixels import Values, sampled

CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # what is left of it
ELASTIC = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
ELASTIC_SIZE = 244  # pixels that those are shares of: the code's, which meant 224
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # of the side
JPEG = (25, 18, 15, 10, 7)  # quality


def contrast(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Nearer to the mean of each channel."""
    mean = picture.mean(axis=(0, 1), keepdims=True)
    return (picture - mean) * CONTRAST[severity - 1] + mean


def elastic_transform(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Moved by a random affine map, then stretched and shrunk from place to place."""
    amount, smooth, apart = (share * ELASTIC_SIZE * unit for share in ELASTIC[severity - 1])
    grid = np.indices(picture.shape[:2]).astype(np.float64)
    rows, columns = grid[0], grid[1]
    moved = sampled(picture, *_affine(picture, apart, chance, rows, columns), "mirror")
    down, across = (smoothed(chance.uniform(-1, 1, picture.shape[:2]), smooth) * amount for _ in range(2))
    return sampled(moved, rows + down, columns + across, "reflect")


def pixelate(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Smaller by the mean of boxes, and back."""
    made = _image(picture)
    share = PIXELATE[severity - 1]
    small = (max(1, int(made.width * share)), max(1, int(made.height * share)))
    return _values(made.resize(small, Image.Resampling.BOX).resize(made.size, Image.Resampling.BOX))


def jpeg_compression(picture: Values, severity: int, chance: np.random.Generator, unit: float) -> Values:
    """Written as JPEG and read again."""
    file = io.BytesIO()
    _image(picture).save(file, "JPEG", quality=JPEG[severity - 1])
    return _values(Image.open(file))


def smoothed(layer: Float64[np.ndarray, "h w"], sigma: float) -> Float64[np.ndarray, "h w"]:
    """A Gaussian blur cut at three deviations, mirrored at the borders.

    By cosines, which a mirrored picture is made of: as exact as summing, and as fast for any sigma.
    """
    reach = int(3 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights[1:] *= 2
    made = fft.dctn(layer, type=2)
    for axis, side in enumerate(layer.shape):
        waves = np.cos(np.pi * np.outer(np.arange(side), np.arange(reach + 1)) / side)
        gain = waves @ (weights / weights.sum())
        made = made * (gain[:, None] if axis == 0 else gain[None])
    return fft.idctn(made, type=2)


def _affine(
    picture: Values, apart: float, chance: np.random.Generator, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from, when three points of the picture each move by up to `apart` pixels."""
    height, width = picture.shape[:2]
    x, y, third = width // 2, height // 2, min(height, width) // 3
    before = np.array(
        [[x + third, y + third], [x + third, y - third], [x - third, y - third]], dtype=np.float64
    )
    after = before + chance.uniform(-apart, apart, before.shape)
    back = np.linalg.solve(np.hstack([after, np.ones((3, 1))]), before)
    across, down = np.moveaxis(np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ back, -1, 0)
    return down, across


def _image(picture: Values) -> Image.Image:
    return Image.fromarray((picture * 255).round().astype(np.uint8))


def _values(image: Image.Image) -> Values:
    return np.asarray(image.convert("RGB"), dtype=np.float32) / 255
