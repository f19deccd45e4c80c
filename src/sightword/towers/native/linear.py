"""Calls the compiled linear layers, a share of their work in each thread."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor

from sightword.towers.native.convolution import Packing
from sightword.towers.native.convolution import usable as convolution_usable
from sightword.towers.native.library import current, shared
from sightword.towers.native.tiled import BLOCK, Tiled, begin

ACTIVATIONS = {"gelu": 1, "gelu_tanh": 2, "quick_gelu": 3}  # of activation.h
_CHUNK = 256  # rows, of linear_weigh.c
_WORTH_A_THREAD = 2**22  # multiplications
_LINE = 64  # bytes, where tiles must begin
_N, _P = ctypes.c_int64, ctypes.c_void_p
Rows = BFloat16[Tensor, "rows n"]
Weight = Float32[Tensor, "out n"]


class _Product(ctypes.Structure):
    """`Product` of linear.h."""

    _fields_ = (
        *((name, _N) for name in ("rows", "n", "out", "tiled_from", "tiled_to")),
        *((name, _P) for name in ("x", "weights", "bias")),
        ("activation", _N),
        *((name, _P) for name in ("slope", "to")),
    )


class _Weighing(ctypes.Structure):
    """`Weighing` of linear.h."""

    _fields_ = (
        *((name, _N) for name in ("rows", "left", "right", "tiled_left", "tiled_right")),
        *((name, _P) for name in ("from_left", "from_right", "packed", "total_left", "total_right")),
        ("turned", _N),
        ("to", _P),
    )


class Gradient(NamedTuple):
    """Of weights and bias."""

    weight: Float32[Tensor, "out n"]
    bias: Float32[Tensor, " out"] | None


def usable(rows: int, n: int, out: int) -> bool:
    """Whether it can be had here, for as many rows and numbers in them: the processor must have AMX."""
    return convolution_usable(rows, n, out)


def linear(
    x: Rows | Tiled, weight: Weight, bias: Float32[Tensor, " out"] | None
) -> BFloat16[Tensor, "rows out"]:
    """`x @ weight.T + bias`, summed in float32 and rounded once. All but x lie row by row."""
    answer = torch.empty(x.shape[0], len(weight), dtype=torch.bfloat16)
    _apply(x, weight, answer, back=False, bias=bias)
    return answer


def linear_tiled(x: Rows | Tiled, weight: Weight, bias: Float32[Tensor, " out"] | None) -> Tiled:
    """The same, tiled."""
    answer = Tiled.empty(x.shape[0], len(weight))
    _apply(x, weight, answer, back=False, bias=bias)
    return answer


def activated(
    x: Rows | Tiled, weight: Weight, bias: Float32[Tensor, " out"] | None, activation: int
) -> tuple[Tiled, Tiled]:
    """What an activation makes of `linear`, and the activation's slope there; nothing is rounded between."""
    answer, slope = Tiled.empty(x.shape[0], len(weight)), Tiled.empty(x.shape[0], len(weight))
    _apply(x, weight, answer, back=False, bias=bias, activation=activation, slope=slope)
    return answer, slope


def to_input(sent: BFloat16[Tensor, "rows out"] | Tiled, weight: Weight) -> Rows:
    """The gradient of `linear`'s input."""
    answer = torch.empty(sent.shape[0], weight.shape[1], dtype=torch.bfloat16)
    _apply(sent, weight, answer, back=True)
    return answer


def to_input_tiled(sent: BFloat16[Tensor, "rows out"] | Tiled, weight: Weight) -> Tiled:
    """The same, tiled."""
    answer = Tiled.empty(sent.shape[0], weight.shape[1])
    _apply(sent, weight, answer, back=True)
    return answer


def to_activated(sent: BFloat16[Tensor, "rows out"] | Tiled, weight: Weight, slope: Tiled) -> Tiled:
    """The same where the input was an activation's answer: what is sent to the sums before."""
    answer = Tiled.empty(*slope.shape)
    _apply(sent, weight, answer, back=True, slope=slope)
    return answer


def to_weight(sent: BFloat16[Tensor, "rows out"] | Tiled, x: Rows | Tiled, biased: bool) -> Gradient:
    """The gradients of weights and bias, summed in float32, not depending on the number of threads."""
    functions = current()
    assert functions is not None, "asked before"
    (rows, out), n = sent.shape, x.shape[1]
    turned = out > n
    left, right = (x, sent) if turned else (sent, x)
    chunks = -(-rows // _CHUNK)
    room, packed = _aligned(chunks * _CHUNK * left.shape[1])
    totals = torch.empty(chunks, out) if biased else None
    total = None if totals is None else totals.data_ptr()
    answer = torch.empty(out, n)
    sizes = left.shape[1], right.shape[1], isinstance(left, Tiled), isinstance(right, Tiled)
    what = _Weighing(rows, *sizes, begin(left), begin(right), packed)
    what.total_left, what.total_right = (None, total) if turned else (total, None)
    what.turned, what.to = int(turned), answer.data_ptr()
    work = answer.numel() * rows // _WORTH_A_THREAD
    shared(functions.linear_pack_left, what, chunks, work)
    shared(functions.linear_weigh, what, right.shape[1] // BLOCK, work)
    del room
    return Gradient(answer, None if totals is None else totals.sum(0))


def _apply(
    x: Tensor | Tiled,
    weight: Tensor,
    to: Tensor | Tiled,
    back: bool,
    bias: Tensor | None = None,
    activation: int = 0,
    slope: Tiled | None = None,
) -> None:
    functions = current()
    assert functions is not None, "asked before"
    (out, n), (rows, own) = weight.shape, x.shape
    room, packed = _aligned(weight.numel())
    weights, work = (
        Packing(weight.data_ptr(), 1, n, out, back, packed),
        rows * weight.numel() // _WORTH_A_THREAD,
    )
    shared(functions.convolution_pack, weights, to.shape[1] // BLOCK, work)
    what = _Product(rows, own, to.shape[1], isinstance(x, Tiled), isinstance(to, Tiled), begin(x), packed)
    what.bias, what.activation = None if bias is None else bias.data_ptr(), activation
    what.slope, what.to = None if slope is None else begin(slope), begin(to)
    shared(functions.linear_apply, what, -(-rows // BLOCK), work)
    del room


def _aligned(numbers: int) -> tuple[Tensor, int]:
    """Room for so many in bfloat16, and where it begins for tiles."""
    room = torch.empty(2 * numbers + _LINE, dtype=torch.uint8)
    return room, -(-room.data_ptr() // _LINE) * _LINE
