"""What corruptions share: what they are, and filters on pictures of values between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64
from scipy import ndimage, signal

PAPER_SIZE = 224  # pixels of the paper's pictures
Values = Float32[np.ndarray, "h w c"]  # between 0 and 1
Layer = Float32[np.ndarray, "h w"]
# Of values, severity (1 to 5), where chance comes from, and pixels for each pixel of the paper's.
Corrupt = Callable[[Values, int, np.random.Generator, float], Values]


def gaussian(picture: Values, sigma: float) -> Values:
    """A Gaussian blur of each channel, cut at four deviations; borders go on outside (scikit-image's)."""
    return ndimage.gaussian_filter(picture, (sigma, sigma, 0), mode="nearest", truncate=4.0)


def filtered(picture: Values, kernel: Float64[np.ndarray, "k l"], mode: Literal["reflect", "edge"]) -> Values:
    """Each pixel as the sum of those around it by the weights of an odd-sized kernel, not turned around.

    `mode` says what is outside: the picture mirrored, border pixels not repeated, or those alone.
    """
    down, across = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(picture, ((down, down), (across, across), (0, 0)), mode=mode)
    turned = kernel[::-1, ::-1, None].astype(np.float32)
    return signal.fftconvolve(padded, turned, mode="valid", axes=(0, 1))


def zoomed(picture: Values, factor: float) -> Values:
    """The middle of a picture, enlarged to the whole, bilinearly.

    Deviation: the paper's code cuts a whole number of pixels and trims what is too much; here it is exact.
    """
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
    matrix = torch.tensor([[[1 / factor, 0, 0], [0, 1 / factor, 0]]], dtype=torch.float32)
    grid = F.affine_grid(matrix, list(planes.shape), align_corners=False)
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0).numpy()


def motion(picture: Values, radius: float, sigma: float, angle: float) -> Values:
    """A blur along a line in one direction, as ImageMagick's motion blur.

    Its weights fall from the pixel itself like half a Gaussian, over 2 radius + 1 pixels. Deviation: they
    lie on the line, shared bilinearly among the pixels beside it; ImageMagick takes the nearest pixel.

    Args:
        picture: values.
        radius: pixels.
        sigma: of the Gaussian, pixels.
        angle: of the line, degrees.
    """
    steps = np.arange(0, 2 * radius + 1, 0.25)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    reach = int(np.ceil(2 * radius + 1)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    down, across = steps * np.sin(np.radians(angle)) + reach, steps * np.cos(np.radians(angle)) + reach
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    for i, share_down in ((top, 1 - (down - top)), (top + 1, down - top)):
        for j, share_across in ((left, 1 - (across - left)), (left + 1, across - left)):
            np.add.at(kernel, (i, j), weights * share_down * share_across)
    return filtered(picture, kernel / kernel.sum(), "edge")


def sampled(
    picture: Values, down: Float64[np.ndarray, "h w"], across: Float64[np.ndarray, "h w"], mode: str
) -> Values:
    """Each pixel taken from a place between pixels, bilinearly; `mode` as scipy's `map_coordinates`."""
    planes = (
        ndimage.map_coordinates(p, [down, across], order=1, mode=mode) for p in np.moveaxis(picture, 2, 0)
    )
    return np.stack(list(planes), axis=2)
