"""The views of evaluation, without chance: the middle of a picture, or all of it as a square."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from sightword.errors import SightwordError
from sightword.views.geometry import Pictures, as_tensors

_BYTES = 16_000_000  # of pictures that are resized at once
Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Preparation:
    """What becomes of a picture before a model sees it.

    size: pixels of the square.
    interpolation: antialiased, of the resizing.
    resize: "shortest", the shorter side is resized and the middle cut out; "squash", both sides are resized
        to the square whatever the picture's shape (SigLIP's).
    """

    size: int
    interpolation: Interpolation = "bilinear"
    resize: Literal["shortest", "squash"] = "shortest"

    def shorter(self, asked: int | None = None) -> int:
        """Pixels of the shorter side before the crop; where both sides are squashed nothing is cropped."""
        return self.size if asked is None or self.resize == "squash" else asked

    def __call__(self, images: Pictures, shorter: int | None = None) -> UInt8[Tensor, "b 3 s s"]:
        """Prepared pictures; `shorter` as `centre`'s `resize`, and of no meaning to what is squashed."""
        if self.resize == "squash":
            return squashed(images, self.size, self.interpolation)
        return centre(images, self.size, shorter, self.interpolation)

    def record(self, shorter: int | None = None) -> dict[str, Any]:
        """The same in words, for protocols."""
        by = {"interpolation": f"{self.interpolation}, antialiased"}
        if self.resize == "squash":
            return {"squash": self.size, **by}
        return {"resize": self.shorter(shorter), "crop": self.size, **by}


def centre(
    images: Pictures,
    size: int,
    resize: int | None = None,
    interpolation: Interpolation = "bilinear",
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


def squashed(
    images: Pictures, size: int, interpolation: Interpolation = "bilinear"
) -> UInt8[Tensor, "b 3 s s"]:
    """torchvision's `Resize((size, size))`: the whole picture, its sides in another proportion."""
    pictures = as_tensors(images)
    made = torch.empty(len(pictures), 3, size, size, dtype=torch.uint8)
    for alike in _alike(pictures):
        made[alike] = _resized(torch.stack([pictures[i] for i in alike]), (size, size), interpolation)
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
    planes = _resized(images, scaled, interpolation)
    top, left = (round((side - size) / 2.0) for side in scaled)
    return planes[:, :, top : top + size, left : left + size]


def _resized(
    images: UInt8[Tensor, "b h w 3"], sides: tuple[int, int], interpolation: str
) -> UInt8[Tensor, "b 3 _ _"]:
    planes = images.permute(0, 3, 1, 2)
    if sides == tuple(planes.shape[2:]):
        return planes
    return F.interpolate(planes, size=sides, mode=interpolation, antialias=True)
