"""From pixels to the first tokens of a ViT: patches or a few convolutions."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from sightword.towers.base import working_dtype
from sightword.towers.linear import projected
from sightword.towers.resnet import norm_for


def patches(images: Shaped[Tensor, "b 3 h w"], size: int) -> Shaped[Tensor, "b n pixels"]:
    """Cut pictures into square patches, row-major; a patch is flattened as (channel, row, column)."""
    b, c, h, w = images.shape
    cut = images.reshape(b, c, h // size, size, w // size, size)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(b, (h // size) * (w // size), c * size * size)


class PatchStem(nn.Linear):
    """A linear map of each normalised patch (arXiv 2010.11929, equation 1).

    The same function as a convolution with stride and kernel of one patch, computed as a matrix product,
    which is about twice as fast on a CPU. `weight.view(-1, 3, size, size)` is that convolution's weight.

    It takes bytes, and normalisation is folded into the map: a byte minus the whole number nearest to its
    channel's mean is exact in bfloat16, and the deviation, with what rounding left of the mean, goes into
    small copies of weight and bias. A mean folded whole into the bias would round weights where bytes are
    large: at bfloat16 twice the error.
    """

    def __init__(self, size: int, width: int, bias: bool = True) -> None:
        super().__init__(3 * size * size, width, bias)
        self.size = size

    def forward(  # type: ignore[override]
        self, images: UInt8[Tensor, "b 3 h w"], mean: Float[Tensor, 3], std: Float[Tensor, 3]
    ) -> Float[Tensor, "b n width"]:
        """Pictures to tokens, row-major; mean and deviation of each channel are in [0, 1]."""
        return self.embed(patches(images, self.size), mean, std)

    def embed(
        self, cut: UInt8[Tensor, "b n pixels"], mean: Float[Tensor, 3], std: Float[Tensor, 3]
    ) -> Float[Tensor, "b n width"]:
        """Patches that are already cut to tokens."""
        centre = (255 * mean).round()
        weight = self.weight.unflatten(1, (3, -1)) * (1 / (255 * std))[:, None]
        shift = (weight * (255 * mean - centre)[:, None]).sum((1, 2))
        bias = -shift if self.bias is None else self.bias - shift
        dtype = working_dtype(self.weight)
        pixels = cut.to(dtype).unflatten(2, (3, -1)).sub_(centre.to(dtype)[:, None]).flatten(2)
        return projected(pixels, weight.flatten(1), bias)


class ConvStem(nn.Module):
    """3x3 convolutions of stride 2, each with norm and ReLU, then a 1x1 convolution.

    Source: "Early convolutions help transformers see better" (arXiv 2106.14881, section 4).
    The widths double up to the model's. The paper then takes one transformer block away to keep the FLOPs:
    that is left to the configuration's `layers`.
    """

    def __init__(self, size: int, width: int, norm: str) -> None:
        super().__init__()
        steps = int(math.log2(size))
        widths = [3, *(width // 2**i for i in reversed(range(steps)))]
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts.append(nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False))
            parts += [norm_for(norm, after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*parts, nn.Conv2d(width, width, 1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n width"]:
        """Pixels to tokens, row-major."""
        x = images.contiguous(memory_format=torch.channels_last)
        return self.layers(x).flatten(2).transpose(1, 2)
