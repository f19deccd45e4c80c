"""Calls the compiled attention, a share of the heads in each thread."""

from __future__ import annotations

import ctypes

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor

from sightword.towers.native.convolution import BLOCK
from sightword.towers.native.convolution import usable as convolution_usable
from sightword.towers.native.library import current, shared
from sightword.towers.native.tiled import Tiled, begin

MOST = 512  # rows: all of a head's shares are kept in the cache
_WORTH_A_THREAD = 2**22  # multiplications
_N = ctypes.c_int64
Whole = BFloat16[Tensor, "rows three_w"] | Tiled  # queries, keys and values
Made = BFloat16[Tensor, "rows w"] | Tiled
Sums = Float32[Tensor, "b heads each"]


class _Heads(ctypes.Structure):
    """`Heads` of attention.h."""

    _fields_ = (
        *((name, _N) for name in ("pictures", "rows", "heads", "width", "causal", "tiled")),
        ("scale", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("qkv", "made", "sent", "sums", "to")),
    )


def usable(rows: int, width: int) -> bool:
    """Whether it can be had here for heads of as many rows and numbers: the processor must have AMX."""
    return rows <= MOST and width % BLOCK == 0 and convolution_usable(BLOCK, BLOCK, BLOCK)


def attend(qkv: Whole, each: int, heads: int, causal: bool) -> tuple[Made, Sums]:
    """The heads' answers side by side, tiled if qkv is, and the logarithms of the softmax's sums.

    Args:
        qkv: queries, keys and values of all heads; all pictures' rows, which lie row by row or tiled.
        each: rows of a picture.
        heads: how many.
        causal: a row sees those before it alone.
    """
    what, (rows, width) = _heads(qkv, each, heads, causal), qkv.shape
    answer, sums = _like(qkv, width // 3), torch.empty(rows // each, heads, each)
    what.to, what.sums = begin(answer), sums.data_ptr()
    _share("attention_apply", what, 2)
    return answer, sums


def gradient(sent: Made, qkv: Whole, answer: Made, sums: Sums, causal: bool) -> Whole:
    """What `attend` sends back; all lie row by row, or all are tiled."""
    what, to = _heads(qkv, sums.shape[2], sums.shape[1], causal), _like(qkv, qkv.shape[1])
    what.made, what.sent, what.sums, what.to = begin(answer), begin(sent), sums.data_ptr(), begin(to)
    _share("attention_back", what, 5)
    return to


def _like(rows: Tensor | Tiled, n: int) -> Tensor | Tiled:
    if isinstance(rows, Tiled):
        return Tiled.empty(rows.rows, n)
    return rows.new_empty(len(rows), n)


def _heads(qkv: Tensor | Tiled, each: int, heads: int, causal: bool) -> _Heads:
    rows, n = qkv.shape
    width = n // 3 // heads
    tiled = int(isinstance(qkv, Tiled))
    return _Heads(rows // each, each, heads, width, int(causal), tiled, width**-0.5, begin(qkv))


def _share(work: str, what: _Heads, products: int) -> None:
    functions, heads = current(), what.pictures * what.heads
    assert functions is not None, "asked before"
    size = products * heads * what.width * what.rows**2
    shared(getattr(functions, work), what, heads, size // _WORTH_A_THREAD)
