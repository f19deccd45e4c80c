"""Calls the compiled attention, a share of the heads in each thread."""

from __future__ import annotations

import ctypes

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor

from sightword.towers.native.convolution import BLOCK
from sightword.towers.native.convolution import usable as convolution_usable
from sightword.towers.native.library import current, shared

MOST = 512  # rows: all of a head's shares are kept in the cache
_WORTH_A_THREAD = 2**22  # multiplications
_N = ctypes.c_int64


class _Heads(ctypes.Structure):
    """`Heads` of attention.c."""

    _fields_ = (
        *((name, _N) for name in ("rows", "heads", "width", "causal")),
        ("scale", ctypes.c_float),
        *((name, _N) for name in ("picture", "row", "part", "made_picture", "made_row")),
        *((name, ctypes.c_void_p) for name in ("qkv", "made", "sent", "sums", "to")),
    )


def usable(rows: int, width: int) -> bool:
    """Whether it can be had here for heads of as many rows and numbers: the processor must have AMX."""
    return rows <= MOST and width % BLOCK == 0 and convolution_usable(BLOCK, BLOCK, BLOCK)


def attend(
    qkv: BFloat16[Tensor, "b n three_w"], heads: int, causal: bool
) -> tuple[BFloat16[Tensor, "b n w"], Float32[Tensor, "b heads n"]]:
    """The heads' answers side by side, and the logarithms of the softmax's sums.

    Args:
        qkv: queries, keys and values of all heads, row by row.
        heads: how many.
        causal: a row sees those before it alone.
    """
    functions, what = _functions(), _heads(qkv, heads, causal)
    b, n, w = qkv.shape
    answer, sums = qkv.new_empty(b, n, w // 3), torch.empty(b, heads, n)
    what.to, what.sums = answer.data_ptr(), sums.data_ptr()
    shared(functions.attention_apply, what, b * heads, 2 * b * n * n * w // 3 // _WORTH_A_THREAD)
    return answer, sums


def gradient(
    sent: BFloat16[Tensor, "b n w"],
    qkv: BFloat16[Tensor, "b n three_w"],
    answer: BFloat16[Tensor, "b n w"],
    sums: Float32[Tensor, "b heads n"],
    causal: bool,
) -> BFloat16[Tensor, "b n three_w"]:
    """What `attend` sends back; all lie row by row."""
    functions, what = _functions(), _heads(qkv, sums.shape[1], causal)
    b, n, w = answer.shape
    to = torch.empty_like(qkv)
    what.made, what.sent, what.sums, what.to = (t.data_ptr() for t in (answer, sent, sums, to))
    shared(functions.attention_back, what, b * sums.shape[1], 5 * b * n * n * w // _WORTH_A_THREAD)
    return to


def _heads(qkv: Tensor, heads: int, causal: bool) -> _Heads:
    _, n, w = qkv.shape
    one = w // 3
    width = one // heads
    sizes = n, heads, width, int(causal), width**-0.5, n * w, w, one, n * one, one
    return _Heads(*sizes, qkv.data_ptr())


def _functions() -> ctypes.CDLL:
    functions = current()
    assert functions is not None, "asked before"
    return functions
