"""Floor 2. The small networks that self-supervised objectives put behind a tower."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def batch_norm(width: int, affine: bool = True) -> nn.Module:
    """The batch norm of every head; the one place to choose what synchronises it between processes.

    On one process this is exact. On several, `nn.SyncBatchNorm.convert_sync_batchnorm` turns it into SLIP's
    synchronised one on GPUs; torch's refuses CPUs.
    """
    return nn.BatchNorm1d(width, affine=affine)


def mlp_head(widths: Sequence[int], bias: bool = True, last_norm: bool = False) -> nn.Sequential:
    """Linear maps from width to width, with batch norm and ReLU between them.

    SimCLR as SLIP (SLIP's released code): `mlp_head([w, 4096, 4096, 256])`.
    MoCo v3 (its released code): projector `mlp_head([w, 4096, 4096, 256], bias=False, last_norm=True)`,
    predictor `mlp_head([256, 4096, 256], bias=False, last_norm=True)`.
    BYOL (arXiv 2006.07733, section 3.3): projector `mlp_head([w, 4096, 256])`, predictor
    `mlp_head([256, 4096, 256])`.

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
    return nn.Sequential(*layers)
