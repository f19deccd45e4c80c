"""Calls the compiled layer norm, a share of its rows in each thread."""

from __future__ import annotations

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor

from sightword.towers.native.convolution import usable as convolution_usable
from sightword.towers.native.library import current, shared

BLOCK = 32  # a row's numbers must be a multiple of it
_SLAB = 64  # rows, of layer_norm.c
_WORTH_A_THREAD = 2**16  # numbers
Row = Float32[Tensor, " n"]


def usable(n: int) -> bool:
    """Whether it can be had here, for rows of so many numbers: it uses what processors with AMX have."""
    return convolution_usable(BLOCK, n, n)


def normalise(
    x: Float32[Tensor, "rows n"], weight: Row, bias: Row, eps: float
) -> tuple[BFloat16[Tensor, "rows n"], Float32[Tensor, "rows 2"]]:
    """Layer norm of rows, rounded, and each one's mean and inverse deviation."""
    functions = current()
    assert functions is not None, "asked before"
    rows, n = x.shape
    known, answer = torch.empty(rows, 2), torch.empty(rows, n, dtype=torch.bfloat16)
    given = x.data_ptr(), rows, n, eps, weight.data_ptr(), bias.data_ptr()
    to = known.data_ptr(), answer.data_ptr()

    def slabs(first: int, last: int) -> None:
        functions.layer_norm_apply(*given, first, last, *to)

    shared(slabs, -(-rows // _SLAB), x.numel() // _WORTH_A_THREAD)
    return answer, known


def gradient(
    sent: BFloat16[Tensor, "rows n"],
    x: Float32[Tensor, "rows n"],
    known: Float32[Tensor, "rows 2"],
    weight: Row,
) -> tuple[Float32[Tensor, "rows n"], Row, Row]:
    """Of x, weight and bias; it does not depend on the number of threads."""
    functions = current()
    assert functions is not None, "asked before"
    rows, n = x.shape
    partial, answer = torch.zeros(-(-rows // _SLAB), 2, n), torch.empty_like(x)
    given = sent.data_ptr(), x.data_ptr(), rows, n, known.data_ptr(), weight.data_ptr()
    to = partial.data_ptr(), answer.data_ptr()

    def slabs(first: int, last: int) -> None:
        functions.layer_norm_back(*given, first, last, *to)

    shared(slabs, len(partial), x.numel() // _WORTH_A_THREAD)
    to_weight, to_bias = partial.sum(0).unbind()
    return answer, to_weight, to_bias
