"""How a GPU would do it, where there is none: its fused attention, and autocast's list of what stays float32.

On a CPU and on CUDA torch keeps different things for the backward pass. A processor multiplies attention out
and normalises in bfloat16; CUDA has one kernel that keeps no scores, and normalises in float32 (torch's
documentation of autocast, "CUDA Ops that can autocast to float32").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from sightword.towers import blocks, modified_resnet

_FLOAT32 = {
    "__pow__", "__rdiv__", "__rpow__", "binary_cross_entropy_with_logits", "cdist", "cosine_similarity",
    "cross_entropy", "cumprod", "cumsum", "dist", "erfinv", "exp", "expm1", "group_norm", "kl_div", "l1_loss",
    "layer_norm", "log", "log10", "log1p", "log2", "log_softmax", "mse_loss", "nll_loss", "norm", "normalize",
    "pow", "prod", "reciprocal", "rsqrt", "smooth_l1_loss", "softmax", "softplus", "sum",
}  # fmt: skip
_HALVES = (torch.bfloat16, torch.float16)
_aten = torch.ops.aten


@contextmanager
def like_cuda() -> Iterator[None]:
    """While it lasts, autocast of the CPU keeps float32 what CUDA's does, and attention is CUDA's."""
    with ExitStack() as both:
        both.enter_context(_InFloat32())
        both.enter_context(_fused_attention())
        yield


class _InFloat32(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__name__", "") in _FLOAT32 and torch.is_autocast_enabled("cpu"):
            args, given = tree_map(_raised, (args, given))
        return func(*args, **given)


def _raised(leaf: Any) -> Any:
    return leaf.float() if isinstance(leaf, Tensor) and leaf.dtype in _HALVES else leaf


@contextmanager
def _fused_attention() -> Iterator[None]:
    rooms: tuple[Any, ...] = (blocks, modified_resnet)
    before = blocks.attend
    for room in rooms:
        room.attend = _attend
    try:
        yield
    finally:
        for room in rooms:
            room.attend = before


def _attend(q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None = None, causal: bool = False) -> Tensor:
    """As `blocks.attend`: the flash kernel, or the one that takes masks and float32."""
    if torch.is_autocast_enabled("cpu"):
        half = torch.get_autocast_dtype("cpu")
        q, k, v = q.to(half), k.to(half), v.to(half)
    if valid is None and q.dtype in _HALVES:
        flash: Tensor = _aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal)[0]
        return flash
    mask = None if valid is None else valid[:, None, None, :]
    if causal and mask is not None:
        mask = mask & torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    bias = None
    if mask is not None:
        small = torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, -torch.inf)
        bias = small.expand(len(q), q.shape[1], q.shape[2], k.shape[2])
    triangle = causal and mask is None
    answer: Tensor = _aten._scaled_dot_product_efficient_attention(q, k, v, bias, True, 0.0, triangle)[0]
    return answer
