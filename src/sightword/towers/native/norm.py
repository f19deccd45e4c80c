"""Calls the compiled passes of a batch norm, a share of the rows in each thread."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from sightword.towers.native.library import current, shared

WIDEST = 3  # instructions: 0 plain C, 2 AVX-512, 3 with its bfloat16, as far as the processor has them
_SLAB = 256  # rows, of norm.h
_WORTH_A_THREAD = 2**16  # numbers
_N, _P = ctypes.c_int64, ctypes.c_void_p


class _BatchNorm(ctypes.Structure):
    """`BatchNorm` of norm.h."""

    _fields_ = (
        *((name, _N) for name in ("half", "level", "rectified", "rows", "channels")),
        *((name, _P) for name in ("x", "added", "y", "sent", "mean", "scale", "shift")),
        *((name, _P) for name in ("one", "two", "three", "partial", "to", "to_added")),
    )


def normalise(
    x: Tensor,
    added: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    running: tuple[Tensor, Tensor] | None,
    momentum: float,
    eps: float,
    rectified: bool,
) -> tuple[Tensor, Tensor]:
    """`relu(batch_norm(x) + added)` in training, and what its gradient needs.

    Args:
        x: bfloat16 or float32, whose rows of channels lie one after the other in memory.
        added: as x, or None.
        weight, bias: float32, one for each channel, or None.
        running: mean and variance, which move by `momentum`; None: they are not counted.
        rectified: False leaves the ReLU out.

    Returns:
        the answer, in x's format; (4, channels): mean, inverse of the deviation, scale and shift.
    """
    functions, what = _of(x, rectified)
    rows, channels = what.rows, what.channels
    partial = torch.empty(-(-rows // _SLAB), 2, channels)
    known, out = torch.empty(4, channels), torch.empty_like(x)
    mean, inverse, scale, shift = _rows(known)
    what.added, what.to, what.partial = _at(added), _at(out), _at(partial)
    what.scale, what.shift = scale, shift
    work = x.numel() // _WORTH_A_THREAD
    shared(functions.norm_moments, what, len(partial), work)
    counted = (None, None) if running is None else (_at(running[0]), _at(running[1]))
    ends = mean, inverse, scale, shift, *counted, momentum
    functions.norm_join(what.partial, rows, channels, eps, _at(weight), _at(bias), *ends)
    shared(functions.norm_apply, what, len(partial), work)
    return out, known


def gradient(
    sent: Tensor,
    x: Tensor,
    out: Tensor | None,
    known: Tensor,
    weight: Tensor | None,
    both: bool,
    rectified: bool,
    over: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """What `normalise` sends back.

    Args:
        sent: the gradient of its answer, in x's format.
        out: its answer where there is a ReLU and something was added, else None: x tells what it was.
        known: as it returned it.
        both: whether there was something `added`.
        rectified: whether there was a ReLU.
        over: whether the gradient of x is written over `sent`; not where something was added.

    Returns:
        the gradients of x, of `added` (None where a ReLU is missing: it is `sent`), of weight and of bias.
    """
    functions, what = _of(x, rectified)
    rows, channels = what.rows, what.channels
    partial, ends = torch.empty(-(-rows // _SLAB), 2, channels), torch.empty(5, channels)
    to_x, to_added = sent if over else torch.empty_like(x), None
    if both and out is not None:
        to_added = torch.empty_like(x)
    mean, inverse, *let = _rows(known)
    what.mean, what.partial = mean, _at(partial)
    what.scale, what.shift = let if rectified and out is None else (None, None)
    what.sent, what.y, what.to, what.to_added = _at(sent), _at(out), _at(to_x), _at(to_added)
    what.one, what.two, what.three, *to_both = _rows(ends)
    work = x.numel() // _WORTH_A_THREAD
    shared(functions.norm_sums, what, len(partial), work)
    args = mean, inverse, _at(weight), what.one, what.two, what.three, *to_both
    functions.norm_join_back(what.partial, rows, channels, *args)
    shared(functions.norm_back, what, len(partial), work)
    return to_x, to_added, ends[3], ends[4]


def _of(x: Tensor, rectified: bool) -> tuple[ctypes.CDLL, _BatchNorm]:
    functions, half = current(), x.dtype == torch.bfloat16
    assert functions is not None, "asked before"
    return functions, _BatchNorm(half, WIDEST, rectified, x.numel() // x.shape[1], x.shape[1], _at(x))


def _rows(numbers: Tensor) -> range:
    """Where each row of float32 begins; a tensor of each row would take as long as the work."""
    first, step = numbers.data_ptr(), 4 * numbers.shape[1]
    return range(first, first + step * len(numbers), step)


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
