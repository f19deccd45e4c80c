"""Rows of several tensors, at one length, in one tensor: with no copy beyond it, there and back.

`F.normalize`, `torch.cat` and a product keep three copies of all rows, and their gradients six: for large
batches more than the contrast that they are for.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from sightword.losses.numbers import sound
from sightword.losses.tiles import chunk_for, pieces

_LEAST = 1e-12  # what a shorter row is divided by: `F.normalize`'s


def joined_units(length: float, *parts: Float[Tensor, "_ d"]) -> Float[Tensor, "n d"]:
    """The rows of all parts in their order, each at this length, in sound precision.

    A row of zeros stays one.
    """
    joined: Tensor = _JoinedUnits.apply(length, *map(sound, parts))
    return joined


class _JoinedUnits(torch.autograd.Function):
    """z = length x / |x|; so the gradient of x is what of z's is at right angles to z, times length / |x|."""

    @staticmethod
    def forward(ctx: Any, length: float, *parts: Tensor) -> Tensor:
        divisors = [torch.linalg.vector_norm(part, dim=-1, keepdim=True).clamp_min_(_LEAST) for part in parts]
        z = parts[0].new_empty(sum(map(len, parts)), parts[0].shape[-1])
        for part, divisor, place in zip(parts, divisors, z.split([len(part) for part in parts]), strict=True):
            torch.div(part, divisor / length, out=place)
        ctx.length, ctx.sizes = length, [len(part) for part in parts]
        ctx.save_for_backward(z, torch.cat(divisors))
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        z, divisors = ctx.saved_tensors
        back = torch.empty_like(z)
        for at in pieces(len(z), chunk_for(z)):
            along = torch.linalg.vecdot(gradient[at], z[at]).unsqueeze_(-1) / ctx.length**2
            along *= divisors[at] > _LEAST  # below, the length is not the row's own
            torch.addcmul(gradient[at], z[at], along, value=-1, out=back[at]).mul_(ctx.length / divisors[at])
        return None, *back.split(ctx.sizes)
