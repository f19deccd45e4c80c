"""Layer norm of float32 rows straight to bfloat16 on a CPU, where a linear layer follows."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword.towers.eager import eager, in_bfloat16, watched
from sightword.towers.native import layer_norm as native


def normed(norm: nn.LayerNorm, x: Float[Tensor, "*rows n"]) -> Float[Tensor, "*rows n"]:
    """`norm(x)`, already rounded to bfloat16 where autocast would round it in the layer that follows.

    Torch answers in float32 under autocast, and each layer rounds it in a pass of its own, forward and back.
    """
    if not fits(norm, x):
        answer: Tensor = norm(x)
        return answer
    rows = x.contiguous().view(-1, x.shape[-1])
    answer = _LayerNorm.apply(rows, norm.weight, norm.bias, norm.eps)
    return answer.view(x.shape)


def fits(norm: nn.LayerNorm, x: Float[Tensor, "*rows n"]) -> bool:
    """Under autocast, where something is learned; see also `eager`."""
    if type(norm) is not nn.LayerNorm or watched(norm):
        return False
    if not torch.is_grad_enabled() or norm.weight is None or norm.bias is None:
        return False
    if not in_bfloat16(x) or not eager(x) or x.dtype != torch.float32:
        return False
    if tuple(norm.normalized_shape) != x.shape[-1:]:
        return False
    plain = all(type(p) is nn.Parameter and p.dtype == torch.float32 for p in (norm.weight, norm.bias))
    learned = norm.weight.requires_grad or x.requires_grad
    return plain and learned and x.numel() > 0 and native.usable(x.shape[-1])


class _LayerNorm(torch.autograd.Function):
    """See `native.normalise` and `native.gradient`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        answer, known = native.normalise(x, weight, bias, eps)
        ctx.save_for_backward(x, known, weight)
        return answer

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        wanted = native.gradient(sent.contiguous(), *ctx.saved_tensors)
        return *(g if ctx.needs_input_grad[i] else None for i, g in enumerate(wanted)), None
