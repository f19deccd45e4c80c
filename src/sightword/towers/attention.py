"""Self-attention in bfloat16 on a CPU with AMX, by a kernel of our own."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightword.towers.eager import eager
from sightword.towers.native import attention as native


def fits(qkv: Float[Tensor, "b n three_w"], heads: int) -> bool:
    """Whether `mixed` can be had: in training, see also `eager`."""
    learned = torch.is_grad_enabled() and qkv.requires_grad
    if qkv.dtype != torch.bfloat16 or not learned or not eager(qkv):
        return False
    return native.usable(qkv.shape[1], qkv.shape[2] // 3 // heads)


def mixed(qkv: Float[Tensor, "b n three_w"], heads: int, causal: bool) -> Float[Tensor, "b n w"]:
    """Scaled dot-product attention of every head, the heads' answers side by side.

    Torch's fused kernel has a slow backward here, and plain products of small matrices in bfloat16 with their
    softmax and copies take two to three times as long as this. Scores are never rounded, the softmax is in
    float32, and its shares are rounded to bfloat16 as in plain products.
    """
    answer: Tensor = _Attention.apply(qkv, heads, causal)
    return answer


class _Attention(torch.autograd.Function):
    """Kept for backward: what is mixed, the answer, and a number for each row of each head."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, causal: bool) -> Tensor:
        qkv = qkv.contiguous()
        answer, sums = native.attend(qkv, heads, causal)
        ctx.save_for_backward(qkv, answer, sums)
        ctx.causal = causal
        return answer

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        qkv, answer, sums = ctx.saved_tensors
        return native.gradient(sent.contiguous(), qkv, answer, sums, ctx.causal), None, None
