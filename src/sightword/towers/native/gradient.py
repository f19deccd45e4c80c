"""Calls the compiled gradient of a convolution's weights, a share of the columns in each thread."""

from __future__ import annotations

import ctypes
import functools

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor

from sightword.towers.native.library import current, shared

_BLOCK = 32  # channels, and columns, that are worked on at once
_WORTH_A_THREAD = 2**22  # multiplications


def usable(channels: int) -> bool:
    """Whether it can be had here, for as many output channels: the processor must have AMX."""
    return channels % _BLOCK == 0 and _usable(current())


@functools.cache
def _usable(functions: ctypes.CDLL | None) -> bool:
    return functions is not None and bool(functions.gradient_usable())


def weight_gradient(
    sent: BFloat16[Tensor, "b h2 w2 out"],
    x: BFloat16[Tensor, "b h w c"],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Float32[Tensor, "out kh kw c"]:
    """The gradient of a convolution's weights, summed in float32; it does not depend on the threads.

    Args:
        sent: the gradient of its answer; both lie in memory as they are written here.
        x: its input.
        kernel, stride, padding: height and width.
    """
    functions = current()
    assert functions is not None, "asked before"
    b, h, w, out = sent.shape
    (high, wide), (down, right), channels = kernel, stride, x.shape[3]
    padded = _padded(functions, x, padding)
    each, row, place, _ = padded.stride()
    segment, blocks = wide * channels, high * -(-wide * channels // _BLOCK)
    numbers = (b, h, w, out, high, segment, each, row, row * down, place * right)
    shape, answer = (ctypes.c_int64 * len(numbers))(*numbers), torch.empty(out, high, wide, channels)

    def columns(first: int, last: int) -> None:
        if functions.gradient_columns(
            shape, sent.data_ptr(), padded.data_ptr(), first, last, answer.data_ptr()
        ):
            raise MemoryError("no memory for the gradient of a convolution's weights")

    shared(columns, blocks, b * h * w * out * high * segment // _WORTH_A_THREAD)
    return answer


def _padded(functions: ctypes.CDLL, x: Tensor, padding: tuple[int, int]) -> Tensor:
    if not any(padding):
        return x
    b, h, w, c = x.shape
    padded = x.new_empty(b, h + 2 * padding[0], w + 2 * padding[1], c)
    functions.gradient_pad(x.data_ptr(), b, h, w, c, *padding, padded.data_ptr())
    return padded
