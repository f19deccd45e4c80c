"""Calls the compiled layer norm, a share of its rows in each thread."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor

from sightword.towers.native.convolution import usable as convolution_usable
from sightword.towers.native.library import current, shared
from sightword.towers.native.tiled import BLOCK, Tiled, begin

_SLAB = 64  # rows, of layer_norm.c
_WORTH_A_THREAD = 2**16  # numbers
_N, _P = ctypes.c_int64, ctypes.c_void_p
Row = Float32[Tensor, " n"]
Rows = Float32[Tensor, "rows n"]


class _Norming(ctypes.Structure):
    """`Norming` of layer_norm.h."""

    _fields_ = (
        *((name, _N) for name in ("rows", "n")),
        ("eps", ctypes.c_float),
        *((name, _P) for name in ("x", "weight", "bias", "added", "sum", "known")),
        ("tiled", _N),
        ("to", _P),
    )


class _Returning(ctypes.Structure):
    """`Returning` of layer_norm.h."""

    _fields_ = (
        *((name, _N) for name in ("rows", "n", "tiled")),
        *((name, _P) for name in ("sent", "x", "known", "weight", "added", "partial", "to", "rounded")),
    )


class Normed(NamedTuple):
    """What was normalised, each row's mean and inverse deviation, and the answer, rounded."""

    x: Float32[Tensor, "rows n"]
    known: Float32[Tensor, "rows 2"]
    answer: Tiled


class Gradient(NamedTuple):
    """Of x, weight and bias."""

    x: Float32[Tensor, "rows n"]
    weight: Float32[Tensor, " n"]
    bias: Float32[Tensor, " n"]


def usable(n: int) -> bool:
    """Whether it can be had here, for rows of so many numbers: it uses what processors with AMX have."""
    return convolution_usable(BLOCK, n, n)


def normalise(
    x: Rows, weight: Row, bias: Row, eps: float
) -> tuple[BFloat16[Tensor, "rows n"], Float32[Tensor, "rows 2"]]:
    """Layer norm of rows, rounded, and each one's mean and inverse deviation."""
    known, answer = torch.empty(len(x), 2), torch.empty(*x.shape, dtype=torch.bfloat16)
    _normalise(x, weight, bias, eps, None, x, known, answer)
    return answer, known


def normalise_sum(x: Rows, added: Tiled | None, weight: Row, bias: Row, eps: float) -> Normed:
    """Layer norm of x, or of the sum of x and what is added, rounded and tiled."""
    total, known = x if added is None else torch.empty_like(x), torch.empty(len(x), 2)
    answer = Tiled.empty(*x.shape)
    _normalise(x, weight, bias, eps, added, total, known, answer)
    return Normed(total, known, answer)


def gradient(
    sent: BFloat16[Tensor, "rows n"] | Tiled,
    x: Rows,
    known: Float32[Tensor, "rows 2"],
    weight: Row,
    added: Rows | None = None,
    rounded: Tiled | None = None,
) -> Gradient:
    """Of x, weight and bias; it does not depend on the number of threads.

    Args:
        sent: the gradient of the answer.
        x: what was normalised.
        known: each row's mean and inverse deviation.
        weight: of the norm.
        added: a gradient that x gets from elsewhere.
        rounded: where the gradient of x is written again.
    """
    rows, n = x.shape
    partial, answer = torch.zeros(-(-rows // _SLAB), 2, n), torch.empty_like(x)
    what = _Returning(
        rows, n, isinstance(sent, Tiled), begin(sent), begin(x), begin(known), weight.data_ptr()
    )
    what.added, what.rounded = (None if t is None else begin(t) for t in (added, rounded))
    what.partial, what.to = partial.data_ptr(), begin(answer)
    functions = current()
    assert functions is not None, "asked before"
    _shared(functions.layer_norm_back, what, x)
    return Gradient(answer, *partial.sum(0).unbind())


def add(x: Rows, added: Tiled) -> Rows:
    """`x + added`."""
    answer, functions = torch.empty_like(x), current()
    assert functions is not None, "asked before"
    what = _Norming(*x.shape, x=begin(x), added=begin(added), sum=begin(answer))
    _shared(functions.layer_norm_add, what, x)
    return answer


def rounded(x: Rows) -> Tiled:
    """x in bfloat16, tiled."""
    answer, functions = Tiled.empty(*x.shape), current()
    assert functions is not None, "asked before"
    _shared(functions.layer_norm_round, _Norming(*x.shape, x=begin(x), to=begin(answer)), x)
    return answer


def _normalise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    added: Tiled | None,
    total: Tensor,
    known: Tensor,
    answer: Tensor | Tiled,
) -> None:
    what = _Norming(*x.shape, eps, begin(x), weight.data_ptr(), bias.data_ptr())
    what.added, what.sum, what.known = None if added is None else begin(added), begin(total), begin(known)
    what.tiled, what.to = isinstance(answer, Tiled), begin(answer)
    functions = current()
    assert functions is not None, "asked before"
    _shared(functions.layer_norm_apply, what, x)


def _shared(work: Any, what: ctypes.Structure, x: Tensor) -> None:
    shared(work, what, -(-len(x) // _SLAB), x.numel() // _WORTH_A_THREAD)
