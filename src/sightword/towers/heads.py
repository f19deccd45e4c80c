"""The small networks that self-supervised objectives put behind a tower."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sightword.losses.units import joined_units
from sightword.towers.batch_norm import BatchNorm1d
from sightword.towers.linear import applied


def batch_norm(width: int, affine: bool = True) -> nn.Module:
    """The batch norm of every head, over the rows of all processes, as SLIP's."""
    return BatchNorm1d(width, affine=affine)


class Head(nn.Sequential):
    """Linear maps, batch norms and ReLUs one after another, by kernels of our own where there are such."""

    def forward(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """The last layer's answer."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            if isinstance(layer, BatchNorm1d):
                rectified = bool(layers) and isinstance(layers[0], nn.ReLU)
                x, layers = layer.followed(x, None, rectified), layers[rectified:]
            else:
                x = applied(layer, x)
        return x


def mlp_head(widths: Sequence[int], bias: bool = True, last_norm: bool = False) -> Head:
    """Linear maps from width to width, with batch norm and ReLU between them.

    SimCLR as SLIP (SLIP's released code): `mlp_head([w, 4096, 4096, 256])`.
    MoCo v3 (its released code): projector `mlp_head([w, 4096, 4096, 256], bias=False, last_norm=True)`,
    predictor `mlp_head([256, 4096, 256], bias=False, last_norm=True)`.
    BYOL (its released code, whose first bias a batch norm takes away): projector
    `mlp_head([w, 4096, 256], bias=False)`, predictor `mlp_head([256, 4096, 256], bias=False)`.

    Args:
        widths: input, hidden and output widths.
        bias: whether the linear maps have one.
        last_norm: end in a batch norm without scale and shift (arXiv 2104.02057; "following SimCLR").
    """
    layers: list[nn.Module] = []
    last = len(widths) - 2
    for i, (before, after) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(before, after, bias=bias))
        if i < last:
            layers += [batch_norm(after), nn.ReLU(inplace=True)]
        elif last_norm:
            layers.append(batch_norm(after, affine=False))
    return Head(*layers)


class PrototypeHead(nn.Module):
    """An MLP whose answer, scaled to length 1, is compared with learned prototypes of length 1.

    DINO's head as its released code has it (arXiv 2104.14294, appendix C, "Projection head"): width -
    hidden - hidden - bottleneck with GELU and without batch norm, L2 norm, then a weight-normalised linear
    map without bias. The prototypes' lengths are fixed at 1, DINO's choice for ViT-B (`norm_last_layer`). The
    cosines are computed in float32: a teacher divides them by .04, and bfloat16 has 8 bits.

    Args:
        width: of the features.
        hidden: of both hidden layers.
        bottleneck: of the vectors that are compared.
        out: how many prototypes.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, out: int) -> None:
        super().__init__()
        layers = [nn.Linear(width, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, bottleneck)]
        for layer in layers:
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.mlp = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
        self.prototypes = nn.Parameter(torch.empty(out, bottleneck))
        nn.init.uniform_(self.prototypes, -(bottleneck**-0.5), bottleneck**-0.5)  # as torch's own linear map

    def forward(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """The cosine of each row with each prototype, in float32 (float64 stays float64)."""
        x = self.mlp(x)
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            return F.normalize(x, dim=-1) @ joined_units(1.0, self.prototypes).T
