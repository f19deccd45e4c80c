"""The views of evaluation, without chance: resize the shorter side, then crop the middle."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from sightword.errors import SightwordError
from sightword.views.geometry import Pictures, as_tensors


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
    return torch.cat([_centre(image, size, shorter, interpolation) for image in pictures]).contiguous()


def _centre(
    image: UInt8[Tensor, "h w 3"], size: int, shorter: int, interpolation: str
) -> UInt8[Tensor, "1 3 s s"]:
    rows, columns = image.shape[:2]
    scaled = (max(shorter, shorter * rows // columns), max(shorter, shorter * columns // rows))
    planes = image.permute(2, 0, 1)[None]
    if scaled != (rows, columns):
        planes = F.interpolate(planes, size=scaled, mode=interpolation, antialias=True)
    top, left = (round((side - size) / 2.0) for side in scaled)
    return planes[:, :, top : top + size, left : left + size]
