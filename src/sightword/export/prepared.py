"""Prepared pictures through the preprocessing of another library."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor


def through(
    pictures: UInt8[Tensor, "b 3 s s"], prepare: Callable[[Image.Image], Tensor]
) -> Float[Tensor, "b 3 s s"]:
    """What `prepare` makes of each, as PIL's picture. There is nothing left to resize, so that all else is
    seen to be the same: order of colours, scale, mean and deviation."""
    return torch.stack([prepare(Image.fromarray(one)) for one in pictures.permute(0, 2, 3, 1).numpy()])
