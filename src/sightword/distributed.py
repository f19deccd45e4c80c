"""The other processes of a run: who we are, and features of all ranks with exact gradient.

In one process everything here is the identity, so objectives are written once. How gradients come out
right: every rank's loss is the mean over its *local* rows, scored against the features of all ranks;
`gather` sends the gradient of every rank's loss back to the rank that made a feature; and averaging
parameter gradients over ranks, as DDP and FSDP do, then gives the gradient of the mean over all rows. The
local loss itself differs from rank to rank: `mean` it before it is logged.

Features are gathered whole and not passed round in a ring: 32,768 of 512 numbers are 64 MB a side, and what
stays on a rank for a step (features and their gradients, both sides) is four times that. A ring would hold
less, but needs as many turns as there are ranks; it begins to pay where n x d does not fit: at 10^6 rows
those four are 8 GB.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor


def rank() -> int:
    """This process's number among all, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(x: Float[Tensor, "b ..."]) -> Float[Tensor, "n ..."]:
    """The rows of all ranks in rank order, with exact gradient; every rank must give equally many.

    Our rows begin at `offset(x)`. Half precision comes back in float32, in which gradients are then summed.
    """
    if world_size() == 1:
        return x
    gathered: Tensor = _Gather.apply(x)
    return gathered


def offset(x: Shaped[Tensor, "b ..."]) -> int:
    """Where our rows begin among the gathered ones."""
    return rank() * len(x)


def mean(x: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """The mean over ranks, without gradient: for logging."""
    if world_size() == 1:
        return x.detach()
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gathered = x.new_empty((world_size() * len(x), *x.shape[1:]))
        # torch 2.13 has new names for the two, and warns of the old ones.
        collect = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
        collect(gathered, x.contiguous())
        ctx.dtype = x.dtype
        return gathered.float() if x.dtype in (torch.float16, torch.bfloat16) else gathered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        ours = gradient.new_empty((len(gradient) // world_size(), *gradient.shape[1:]))
        share_out = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
        share_out(ours, gradient.contiguous())
        return ours.to(ctx.dtype)
