"""Calls the compiled convolutions, a share of their work in each thread."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

import torch
from jaxtyping import BFloat16, Float32, UInt8
from torch import Tensor

from sightword.towers.native.library import current, shared

BLOCK = 32  # pictures, and channels of either side, that are worked on at once
_WORTH_A_THREAD = 2**22  # multiplications
_LINE = 64  # bytes, where tiles must begin
_N, _P = ctypes.c_int64, ctypes.c_void_p
Pair = tuple[int, int]
Numbers = tuple[int, ...]


class _Shape(ctypes.Structure):
    """`Convolution` of convolution.h."""

    _fields_ = tuple((f"number_{i}", _N) for i in range(17))


class _Convolving(ctypes.Structure):
    """`Convolving` of convolution.h."""

    _fields_ = (
        ("shape", ctypes.POINTER(_Shape)),
        ("back", _N),
        *((name, _P) for name in ("given", "weights", "more", "to", "seen", "to_weight")),
        *((name, _P) for name in ("pictures", "scale", "shift")),
    )


class Packing(ctypes.Structure):
    """`Packing` of convolution.h."""

    _fields_ = (
        ("weight", _P),
        *((name, _N) for name in ("taps", "channels", "out", "back")),
        ("to", _P),
    )


@functools.cache
def _usable(functions: ctypes.CDLL | None) -> bool:
    return functions is not None and bool(functions.convolution_usable())


def usable(batch: int, channels: int, out: int) -> bool:
    """Whether it can be had here, for as many pictures and channels: the processor must have AMX."""
    return batch >= BLOCK and channels % BLOCK == out % BLOCK == 0 and _usable(current())


def by_rows(x: Tensor) -> bool:
    """Whether a picture's or map's channels (b, c, h, w) lie side by side, and its places evenly apart."""
    _, channels, down, right = x.stride()
    return channels == 1 and down == x.shape[3] * right


@dataclass(frozen=True)
class Plan:
    """What is to be known of a convolution, asked once for all of its steps.

    Its functions take maps (b, c, h, w) that lie `by_rows`, and weights with channels last; in the memory of
    answers pictures stand behind each other at a place, as they are worked on. Results do not depend on the
    number of threads.
    """

    functions: ctypes.CDLL
    shape: _Shape
    given: Numbers  # of the input: shape and strides
    given_strides: Numbers
    made: Numbers
    weight: Numbers
    work: int  # threads that it is worth

    @property
    def made_strides(self) -> Numbers:
        """Of an answer (b, out, h2, w2)."""
        b, out, _, wide = self.made
        return out, 1, wide * b * out, b * out

    def convolve(
        self, x: BFloat16[Tensor, "b c h w"], weight: Float32[Tensor, "out c kh kw"]
    ) -> BFloat16[Tensor, "b out h2 w2"]:
        """The convolution of x with the weights, rounded; sums are in float32."""
        b, out, high, wide = self.made
        answer = torch.empty(high, wide, b, out, dtype=torch.bfloat16)
        self._apply(x, weight, answer, high * wide, back=False)
        return answer.permute(2, 3, 0, 1)

    def to_input(
        self,
        sent: BFloat16[Tensor, "b out h2 w2"],
        weight: Float32[Tensor, "out c kh kw"],
        more: BFloat16[Tensor, "b c h w"] | None = None,
    ) -> BFloat16[Tensor, "b c h w"]:
        """The gradient of the input, laid as the input was; `sent` lies as answers do.

        more: laid as the input; it is added before the sum is rounded.
        """
        to = torch.empty_strided(self.given, self.given_strides, dtype=torch.bfloat16)
        self._apply(sent, weight, to, self.given[2] * self.given[3], back=True, more=more)
        return to

    def to_weight(
        self, sent: BFloat16[Tensor, "b out h2 w2"], x: BFloat16[Tensor, "b c h w"]
    ) -> Float32[Tensor, "out c kh kw"]:
        """The gradient of the weights, summed in float32."""
        out, channels, *kernel = self.weight
        answer = torch.empty(out, *kernel, channels)
        what = self._step(given=sent.data_ptr(), seen=x.data_ptr(), to_weight=answer.data_ptr())
        shared(self.functions.convolution_weigh, what, out // BLOCK * (channels // BLOCK), self.work)
        return answer.permute(0, 3, 1, 2)

    def patches(
        self, x: UInt8[Tensor, "b c h w"], scale: Float32[Tensor, " c"], shift: Float32[Tensor, " c"]
    ) -> BFloat16[Tensor, "b out h2 w2"]:
        """What the kernel sees of `x * scale - shift` at each place, row by row, zeros up to `out` numbers.

        Each number is rounded once. Around a picture there are zeros. x lies as it is written here.
        """
        b, columns, high, wide = self.made
        answer = torch.empty(high, wide, b, columns, dtype=torch.bfloat16)
        given = {"pictures": x.data_ptr(), "scale": scale.data_ptr(), "shift": shift.data_ptr()}
        what = self._step(to=answer.data_ptr(), **given)
        shared(self.functions.convolution_patches, what, b, answer.numel() // 2**16)
        return answer.permute(2, 3, 0, 1)

    def _apply(
        self,
        given: Tensor,
        weight: Tensor,
        to: Tensor,
        places: int,
        back: bool,
        more: Tensor | None = None,
    ) -> None:
        out, channels, high, wide = self.weight
        packed = torch.empty(2 * out * channels * high * wide + _LINE, dtype=torch.uint8)
        aligned = -(-packed.data_ptr() // _LINE) * _LINE
        weights = Packing(weight.data_ptr(), high * wide, channels, out, back, aligned)
        shared(self.functions.convolution_pack, weights, (channels if back else out) // BLOCK, 1)
        what = self._step(given=given.data_ptr(), weights=aligned, back=back, to=to.data_ptr())
        what.more = None if more is None else more.data_ptr()
        shared(self.functions.convolution_apply, what, places, self.work)

    def _step(self, **numbers: int) -> _Convolving:
        return _Convolving(ctypes.pointer(self.shape), **numbers)


def plan(x: Tensor, weight: Numbers, stride: Pair, padding: Pair) -> Plan:
    """The plan of a convolution of maps like x by weights (out, c, kh, kw)."""
    functions = current()
    assert functions is not None, "asked before"
    return plan_of(functions, tuple(x.shape), x.stride(), weight, stride, padding)


@functools.lru_cache(256)
def plan_of(
    functions: ctypes.CDLL, given: Numbers, strides: Numbers, weight: Numbers, stride: Pair, padding: Pair
) -> Plan:
    """The same of maps of this shape and with these strides, by these functions."""
    (b, channels, *sides), (out, _, *kernel) = given, weight
    high, wide = (
        (side + 2 * pad - size) // step + 1
        for side, pad, size, step in zip(sides, padding, kernel, stride, strict=True)
    )
    maps = (*sides, channels, strides[0], strides[3]), (high, wide, out, out, b * out)
    numbers = (b, *maps[0], *maps[1], *kernel, *stride, *padding)
    work = b * high * wide * out * channels * kernel[0] * kernel[1] // _WORTH_A_THREAD
    return Plan(functions, _Shape(*numbers), given, strides, (b, out, high, wide), weight, work)
