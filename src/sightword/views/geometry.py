"""Which part of a picture a view shows, and that part resized: RandomResizedCrop and the horizontal flip.

Resizing is PIL's antialiased bilinear convolution, done by torch's native uint8 kernel one crop at a time:
only the pixels under the triangle are touched, which beats dense weight matrices in a batched product
already for 64 px pictures (5.5 against 10 ms for 256 crops to 40 px), and the arithmetic is in
integers, so a sample's pixels cannot depend on the batch around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from sightword.words import View

Pictures: TypeAlias = (
    Sequence[UInt8[np.ndarray, "_ _ 3"]] | UInt8[np.ndarray, "b h w 3"] | UInt8[Tensor, "b h w 3"]
)

TRIES = 10  # torchvision's: how often a crop that does not fit is drawn anew
CROP_DRAWS = 2 * TRIES + 2  # numbers that `boxes` needs for a sample


def boxes(
    sizes: Int[np.ndarray, "b 2"], view: View, draws: Float[np.ndarray, "b 22"]
) -> Int[np.ndarray, "b 4"]:
    """RandomResizedCrop's boxes, by torchvision's algorithm.

    Ten tries of an area and a log-uniform aspect ratio; the first that fits inside the picture is put
    at a uniform place. If none fits: the largest centred crop whose aspect ratio is allowed.

    Args:
        sizes: height and width of each picture, pixels.
        view: its `scale` and `ratio` count.
        draws: uniform in [0, 1): ten areas, ten aspect ratios, the place down and across.

    Returns:
        top, left, height, width of each crop, pixels.
    """
    crops, fits = _first_fitting(sizes, view, draws[:, :TRIES], draws[:, TRIES : 2 * TRIES])
    crops = np.where(fits, crops, _largest_allowed(sizes, view))
    spare = sizes - crops
    corners = np.where(fits, (draws[:, 2 * TRIES :] * (spare + 1)).astype(np.int64), spare // 2)
    return np.concatenate([corners, crops], axis=1)


def cut(
    images: Pictures, crops: Int[np.ndarray, "b 4"], flipped: Bool[np.ndarray, " b"], size: int
) -> UInt8[np.ndarray, "b 3 s s"]:
    """Crop, resize to `size` pixels square (antialiased bilinear) and flip those that are `flipped`."""
    if len(images) == 0:
        return np.empty((0, 3, size, size), dtype=np.uint8)
    with torch.inference_mode():
        parts = [
            F.interpolate(_crop(image, *crop), size=(size, size), mode="bilinear", antialias=True)
            for image, crop in zip(as_tensors(images), crops.tolist(), strict=True)
        ]
        views = torch.cat(parts).contiguous().numpy()
    views[flipped] = views[flipped, :, :, ::-1]
    return views


def as_tensors(images: Pictures) -> Sequence[UInt8[Tensor, "_ _ 3"]]:
    """Every picture as a contiguous tensor, rows x columns x RGB, without copying where that is possible."""
    if isinstance(images, Tensor):
        return images.contiguous().unbind(0)
    return [torch.from_numpy(np.require(image, requirements=["C", "W"])) for image in images]


def sizes_of(images: Pictures) -> Int[np.ndarray, "b 2"]:
    """Height and width of each picture."""
    if isinstance(images, Tensor | np.ndarray):
        return np.tile(np.array(images.shape[1:3], dtype=np.int64), (len(images), 1))
    return np.array([image.shape[:2] for image in images], dtype=np.int64).reshape(-1, 2)


def _first_fitting(
    sizes: Int[np.ndarray, "b 2"],
    view: View,
    areas: Float[np.ndarray, "b tries"],
    ratios: Float[np.ndarray, "b tries"],
) -> tuple[Int[np.ndarray, "b 2"], Bool[np.ndarray, "b 1"]]:
    """Height and width of each picture's first try that fits, and whether there is one."""
    low, high = np.log(view.ratio[0]), np.log(view.ratio[1])
    area = sizes.prod(axis=1)[:, None] * (view.scale[0] + (view.scale[1] - view.scale[0]) * areas)
    ratio = np.exp(low + (high - low) * ratios)
    crops = np.rint(np.sqrt(np.stack([area / ratio, area * ratio], axis=2))).astype(np.int64)
    inside = ((crops > 0) & (crops <= sizes[:, None, :])).all(axis=2)
    first = inside.argmax(axis=1)
    return crops[np.arange(len(sizes)), first], inside.any(axis=1, keepdims=True)


def _largest_allowed(sizes: Int[np.ndarray, "b 2"], view: View) -> Int[np.ndarray, "b 2"]:
    """The whole picture, or as much of its longer side as the aspect ratio allows."""
    heights, widths = sizes[:, 0], sizes[:, 1]
    shape = widths / heights
    crop_heights = np.where(shape < view.ratio[0], np.rint(widths / view.ratio[0]), heights)
    crop_widths = np.where(shape > view.ratio[1], np.rint(heights * view.ratio[1]), widths)
    return np.stack([crop_heights, crop_widths], axis=1).astype(np.int64)


def _crop(
    image: UInt8[Tensor, "h w 3"], top: int, left: int, height: int, width: int
) -> UInt8[Tensor, "1 3 _ _"]:
    """The part of a contiguous picture as a view of it, channels first; one call instead of three."""
    row = image.shape[1] * 3
    start = image.storage_offset() + top * row + left * 3
    return image.as_strided((1, 3, height, width), (1, 1, row, 3), start)
