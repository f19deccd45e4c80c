"""Batch norm, a sum and a ReLU in one go on a CPU: two passes over a map where torch takes five."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from sightword.towers.eager import eager
from sightword.towers.native import norm as native
from sightword.towers.native.library import current


def fits(norm: _BatchNorm, x: Tensor, added: Tensor | None = None) -> bool:
    """Whether the compiled passes can do what `norm` does to x now: learn from a batch; see also `eager`."""
    if x.dtype not in (torch.bfloat16, torch.float32) or not norm.training or norm.momentum is None:
        return False
    parameters = [p for p in (norm.weight, norm.running_mean) if p is not None]
    plain = eager(x) and all(p.dtype == torch.float32 for p in parameters)
    return plain and x.numel() > x.shape[1] and current() is not None and _alike(x, added)


def fused(
    norm: _BatchNorm,
    x: Float[Tensor, "b c *space"],
    added: Float[Tensor, "b c *space"] | None,
    rectified: bool,
) -> Float[Tensor, "b c *space"]:
    """`relu(norm(x) + added)` with its statistics counted; the sum and the ReLU where they are wanted.

    Sums are in float32 and do not depend on the number of threads.
    """
    args = norm.weight, norm.bias, counted(norm), norm.momentum, norm.eps, rectified
    answer: Tensor = _Fused.apply(x, added, *args)
    return answer


def counted(norm: _BatchNorm) -> tuple[Tensor, Tensor] | None:
    """Count a batch; the running mean and variance that it will move, None where they are not kept."""
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return None
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return norm.running_mean, norm.running_var


def laid_as(sent: Float[Tensor, "b c *space"], x: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
    """A gradient in x's numbers and order of memory."""
    if sent.dtype == x.dtype and sent.stride() == x.stride():
        return sent
    return torch.empty_like(x).copy_(sent)


class _Fused(torch.autograd.Function):
    """See `native.normalise` and `native.gradient`. Kept for backward: x, and of sums the answer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        added: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        running: tuple[Tensor, Tensor] | None,
        momentum: float,
        eps: float,
        rectified: bool,
    ) -> Tensor:
        out, known = native.normalise(x, added, weight, bias, running, momentum, eps, rectified)
        ctx.both, ctx.rectified = added is not None, rectified
        ctx.save_for_backward(x, out if rectified and ctx.both else None, known, weight)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        x, out, known, weight = ctx.saved_tensors
        sent = laid_as(sent, x)
        to_x, to_added, to_weight, to_bias = native.gradient(
            sent, x, out, known, weight, ctx.both, ctx.rectified
        )
        if ctx.both and to_added is None:
            to_added = sent
        wanted = (to_x, to_added, to_weight, to_bias)
        return *(g if ctx.needs_input_grad[i] else None for i, g in enumerate(wanted)), None, None, None, None


def _alike(x: Tensor, added: Tensor | None) -> bool:
    """Rows of channels, one after the other: features without space, or maps of any order of places."""
    if not _rows(x):
        return False
    return added is None or (
        type(added) is Tensor and (added.dtype, added.shape, added.stride()) == (x.dtype, x.shape, x.stride())
    )


def _rows(x: Tensor) -> bool:
    if x.dim() == 4:
        return any(x.permute(order).is_contiguous() for order in ((0, 2, 3, 1), (2, 3, 0, 1)))
    return x.dim() == 2 and x.is_contiguous()
