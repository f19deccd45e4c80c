"""Attention within rows of any length that lie one behind the other, by torch's kernel for it (CUDA)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

_HALVES = (torch.bfloat16, torch.float16)
_NEAR = 0.03  # of the largest number, between two kernels in half precision


def works(device: torch.device, dtype: torch.dtype, head: int) -> bool:
    """Whether the kernel is here, and gives what `scaled_dot_product_attention` gives, forward and backward.

    Where fused attention is switched off (`torch.nn.attention.sdpa_kernel`), so is this.

    Args:
        device: where tokens lie.
        dtype: of queries, keys and values.
        head: numbers of one head's query.
    """
    if (
        device.type != "cuda"
        or dtype not in _HALVES
        or head % 8
        or not torch.backends.cuda.flash_sdp_enabled()
    ):
        return False
    return _agrees(device, dtype, head)


def attend_within(
    q: Float[Tensor, "total heads d"],
    k: Float[Tensor, "total heads d"],
    v: Float[Tensor, "total heads d"],
    bounds: Int[Tensor, " _"],
    longest: int,
    causal: bool,
) -> Float[Tensor, "total heads d"]:
    """Scaled dot-product attention of each row's tokens to the same row's.

    Args:
        q, k, v: tokens of all rows.
        bounds: where each row begins, and at last where the last one ends.
        longest: tokens of the longest row.
        causal: whether a token sees only itself and what stands before it.
    """
    window = (-1, 0) if causal else (-1, -1)
    mixed: Tensor = _kernel()(q, k, v, bounds, bounds, longest, longest, window_size=window)
    return mixed


@cache
def _kernel() -> Callable[..., Any]:
    """`torch.nn.attention.varlen.varlen_attn`, in the form that it has since torch 2.11.

    Raises:
        ImportError: this torch has none, or in another form.
    """
    kernel: Callable[..., Any] = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    if "window_size" not in signature(kernel).parameters:
        raise ImportError("torch.nn.attention.varlen.varlen_attn takes no window_size here")
    return kernel


@cache
def _agrees(device: torch.device, dtype: torch.dtype, head: int) -> bool:
    try:
        _kernel()
        return all(_same(device, dtype, head, causal) for causal in (False, True))
    except (ImportError, AttributeError, RuntimeError, TypeError, ValueError):
        return False


@torch.enable_grad()
def _same(device: torch.device, dtype: torch.dtype, head: int, causal: bool) -> bool:
    """Two rows, of 5 and of 9 tokens, by this kernel and by the other."""
    drawn = torch.randn(3, 14, 2, head, generator=torch.Generator().manual_seed(0))
    with torch.autocast(device.type, enabled=False):
        mine, other = (drawn.to(device, dtype).requires_grad_() for _ in range(2))
        bounds = torch.tensor([0, 5, 14], dtype=torch.int32, device=device)
        q, k, v = mine.unbind()
        answers = [attend_within(q, k, v, bounds, 9, causal), _row_by_row(other, [5, 9], causal)]
        for answer in answers:
            answer.float().square().sum().backward()
    assert mine.grad is not None
    assert other.grad is not None
    return _near(answers[0], answers[1]) and _near(mine.grad, other.grad)


def _row_by_row(rows: Tensor, lengths: list[int], causal: bool) -> Tensor:
    mixed = []
    for row in rows.split(lengths, dim=1):
        q, k, v = row.transpose(1, 2).unsqueeze(1).unbind()
        mixed.append(F.scaled_dot_product_attention(q, k, v, is_causal=causal)[0].transpose(0, 1))
    return torch.cat(mixed)


def _near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _NEAR * other.abs().max())
