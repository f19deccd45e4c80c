"""The views of evaluation, without chance: resize the shorter side, then crop the middle."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from sightword.errors import SightwordError
from sightword.views.geometry import Pictures, as_tensors

_BYTES = 16_000_000  # of pictures that are resized at once


def centre(
    images: Pictures,
    size: int,
    resize: int | None = None,
    interpolation: Literal["bilinear", "bicubic"] = "bilinear",
) -> UInt8[Tensor, "b 3 s s"]:
    """torchvision's `Resize(resize)` and `CenterCrop(size)`.

    Args:
        images: decoded RGB pictures, rows x columns x 3.
        size: pixels of the finished square.
        resize: pixels of the shorter side before the crop; `size` by default (SLIP's zero-shot), 256 for
            224 in SLIP's linear evaluation.
        interpolation: antialiased bilinear as SLIP's evaluation, or bicubic as CLIP's and open_clip's.

    Raises:
        SightwordError: `resize` is smaller than `size`.
    """
    shorter = size if resize is None else resize
    if shorter < size:
        raise SightwordError(
            f"cannot crop {size} px from pictures resized to {shorter}; give resize >= {size}"
        )
    pictures = as_tensors(images)
    if not pictures:
        return torch.empty(0, 3, size, size, dtype=torch.uint8)
    made = torch.empty(len(pictures), 3, size, size, dtype=torch.uint8)
    for alike in _alike(pictures):
        made[alike] = _centre(torch.stack([pictures[i] for i in alike]), size, shorter, interpolation)
    return made


def _alike(pictures: Sequence[Tensor]) -> Iterator[list[int]]:
    """Positions of pictures of one size, as many as may be stacked at once."""
    sizes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        sizes[tuple(picture.shape)].append(i)
    for shape, positions in sizes.items():
        most = max(1, _BYTES // math.prod(shape))
        yield from (positions[start : start + most] for start in range(0, len(positions), most))


def _centre(
    images: UInt8[Tensor, "b h w 3"], size: int, shorter: int, interpolation: str
) -> UInt8[Tensor, "b 3 s s"]:
    rows, columns = images.shape[1:3]
    scaled = (max(shorter, shorter * rows // columns), max(shorter, shorter * columns // rows))
    planes = images.permute(0, 3, 1, 2)
    if scaled != (rows, columns):
        planes = F.interpolate(planes, size=scaled, mode=interpolation, antialias=True)
    top, left = (round((side - size) / 2.0) for side in scaled)
    return planes[:, :, top : top + size, left : left + size]
