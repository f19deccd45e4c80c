"""Self-attention in bfloat16 on a CPU with AMX, by a kernel of our own."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightword.towers.eager import eager
from sightword.towers.native import attention as native
from sightword.towers.native.tiled import Tiled


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
    b, n, _ = qkv.shape
    answer: Tensor = _Attention.apply(qkv.contiguous().flatten(0, 1), None, n, heads, causal)
    return answer.unflatten(0, (b, n))


def mixed_tiled(qkv: Tiled, each: int, heads: int, causal: bool) -> Tiled:
    """The same of tiled rows, `each` of every picture; where `native.usable` says that it can be had."""
    return Tiled(_Attention.apply(qkv.numbers, qkv.rows, each, heads, causal), qkv.rows)


class _Attention(torch.autograd.Function):
    """Kept for backward: what is mixed, the answer, and a number for each row of each head."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, tiled: int | None, each: int, heads: int, causal: bool) -> Tensor:
        answer, sums = native.attend(_rows(qkv, tiled), each, heads, causal)
        numbers = answer.numbers if isinstance(answer, Tiled) else answer
        ctx.save_for_backward(qkv, numbers, sums)
        ctx.tiled, ctx.causal = tiled, causal
        return numbers

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        qkv, answer, sums = ctx.saved_tensors
        given, whole, made = (_rows(t, ctx.tiled) for t in (sent.contiguous(), qkv, answer))
        back = native.gradient(given, whole, made, sums, ctx.causal)
        return back.numbers if isinstance(back, Tiled) else back, None, None, None, None


def _rows(numbers: Tensor, tiled: int | None) -> Tensor | Tiled:
    return numbers if tiled is None else Tiled(numbers, tiled)
