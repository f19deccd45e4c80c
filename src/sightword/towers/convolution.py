"""Convolutions in bfloat16 on a CPU, computed in faster ways than torch's where maps are small."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import BFloat16, Float, Float32
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from sightword.towers.native import convolution as native

Pair = tuple[int, int]
_TINY = 8  # places that a map is wide or high, at most: torch's own convolution is slower there than ours
_SMALL = 7  # the same for the gradient of weights as one product, where the processor has no tiles
_FEW = 256  # numbers that a kernel sees at a place, at most, to be written out as rows


def convolved(conv: nn.Conv2d, x: Float[Tensor, "b c h w"], pooled: int = 1) -> Float[Tensor, "b out h2 w2"]:
    """`conv(x)`, or `conv(avg_pool2d(x, pooled))` of a 1x1 convolution that does not stride.

    oneDNN's convolutions in bfloat16 work along a map's rows and idle where those are short; most of all the
    gradient of weights, which takes up to ten times as long as the other two products of a step. On
    processors with AMX kernels of our own work along the batch instead: on maps of at most 8 places to a
    side for all three, on larger ones for the weights alone. Elsewhere the gradient of weights is a matrix
    product where maps are small. A mean before the convolution becomes taps of its kernel.
    """
    if not _simple(conv, x):
        return conv(_pooled(x, pooled))
    x, weight = x.to(torch.bfloat16), conv.weight
    assert not isinstance(conv.padding, str), "not simple"
    stride, padding = (conv.stride[0], conv.stride[1]), (conv.padding[0], conv.padding[1])
    if _as_rows(conv, x):
        rows = _Patches.apply(x, conv.kernel_size, stride, padding)
        return _Convolution.apply(rows, _flat(weight, rows.shape[1]), (1, 1), (0, 0), True, True)
    tiled = native.usable(x.shape[0], x.shape[1], conv.out_channels)
    largest = max(_sides(conv, x)) // pooled
    if tiled and largest <= _TINY:
        if pooled > 1:
            weight, stride = weight.expand(-1, -1, pooled, pooled) / pooled**2, (pooled, pooled)
        return _Convolution.apply(x, _laid(weight), stride, padding, True, True)
    x = _pooled(x, pooled)
    weighs = tiled and (largest <= 2 * _TINY or conv.kernel_size != (1, 1))
    if not (weighs or largest <= _SMALL) or not x.is_contiguous(memory_format=torch.channels_last):
        return conv(x)
    ours: Tensor = _Convolution.apply(x, _laid(weight), stride, padding, False, weighs)
    return ours


def _pooled(x: Tensor, size: int) -> Tensor:
    return x if size == 1 else F.avg_pool2d(x, size)


def _laid(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)


def _simple(conv: nn.Conv2d, x: Tensor) -> bool:
    """A plain convolution under autocast that is learned: not while somebody counts, compiles or pretends."""
    if x.device.type != "cpu" or not (torch.is_grad_enabled() and conv.weight.requires_grad):
        return False
    if type(x) is not Tensor or torch.compiler.is_compiling() or _get_current_dispatch_mode() is not None:
        return False
    plain = (
        conv.bias is None and conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    )
    if not plain or isinstance(conv.padding, str) or not _in_bfloat16(x):
        return False
    return native.by_rows(x) and type(conv.weight) is nn.Parameter


def _in_bfloat16(x: Tensor) -> bool:
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return cast and x.dtype in (torch.bfloat16, torch.float32)


def _as_rows(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether the pictures' few channels are better written out as what the kernel sees."""
    if x.requires_grad or x.shape[1] % native.BLOCK == 0 or conv.weight[0].numel() > _FEW:
        return False
    if not x.is_contiguous(memory_format=torch.channels_last):
        return False
    return max(_sides(conv, x)) <= 2 * _TINY and native.usable(x.shape[0], native.BLOCK, conv.out_channels)


def _sides(conv: nn.Conv2d, x: Tensor) -> list[int]:
    """Height and width of the answer's map."""
    assert not isinstance(conv.padding, str), "asked before"
    sides = zip(x.shape[2:], conv.kernel_size, conv.stride, conv.padding, strict=True)
    return [(side + 2 * pad - kernel) // stride + 1 for side, kernel, stride, pad in sides]


def _flat(weight: Float32[Tensor, "out c kh kw"], columns: int) -> Float32[Tensor, "out columns 1 1"]:
    """Kernels as rows, the order that `native.patches` writes, with zeros to the end."""
    rows = weight.permute(0, 2, 3, 1).flatten(1)
    return F.pad(rows, (0, columns - rows.shape[1]))[:, :, None, None]


class _Patches(torch.autograd.Function):
    """What kernels see at each place, as channels; nothing is sent back, as pictures are not learned."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
        columns = -(-kernel[0] * kernel[1] * x.shape[1] // native.BLOCK) * native.BLOCK
        return native.plan(x, (columns, x.shape[1], *kernel), stride, padding).patches(x)


class _Convolution(torch.autograd.Function):
    """A convolution of x, bfloat16, by float32 weights rounded to it; weights get float32 back.

    tiled: by our own kernel instead of torch's, and so what is sent to x; weighs: what is sent to weights.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, tiled: bool, weighs: bool
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding, tiled, weighs
        if tiled:
            return native.plan(x, tuple(weight.shape), stride, padding).convolve(x, weight)
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(x, weight.to(x.dtype), None, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (stride, padding, tiled, weighs) = ctx.saved_tensors, ctx.how
        plan = native.plan(x, tuple(weight.shape), stride, padding) if tiled or weighs else None
        to_x = to_weight = None
        own = sent if plan is None else _as_answer(sent)
        if ctx.needs_input_grad[0]:
            to_x = (
                plan.to_input(own, weight) if plan and tiled else _to_input(sent, x, weight, stride, padding)
            )
        if ctx.needs_input_grad[1]:
            to_weight = (
                plan.to_weight(own, x) if plan else _product(sent, x, weight.shape[2:], stride, padding)
            )
        return to_x, to_weight, None, None, None, None


def _as_answer(sent: Tensor) -> Tensor:
    """Laid as native answers: pictures behind each other at a place."""
    return sent.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)


def _to_input(
    sent: BFloat16[Tensor, "b out h2 w2"],
    x: BFloat16[Tensor, "b c h w"],
    weight: Float32[Tensor, "out c kh kw"],
    stride: Pair,
    padding: Pair,
) -> BFloat16[Tensor, "b c h w"]:
    sent = sent.contiguous(memory_format=torch.channels_last)
    back, asked = torch.ops.aten.convolution_backward, [True, False, False]
    answer: Tensor = back(
        sent, x, weight.to(x.dtype), None, stride, padding, [1, 1], False, [0, 0], 1, asked
    )[0]
    return answer


def _product(
    sent: BFloat16[Tensor, "b out h2 w2"],
    x: BFloat16[Tensor, "b c h w"],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
) -> Float32[Tensor, "out c kh kw"]:
    """Every place's patch of x as a row, times the gradients sent to the places."""
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    b, out, h, w = sent.shape
    (high, wide), (down, right), c = kernel, stride, x.shape[1]
    each, row, place, _ = padded.stride()
    patches = padded.as_strided((b, h, w, high, wide * c), (each, row * down, place * right, row, 1))
    rows = patches.reshape(b * h * w, high * wide * c)
    product = sent.permute(0, 2, 3, 1).reshape(b * h * w, out).t() @ rows
    return product.view(out, high, wide, c).permute(0, 3, 1, 2).float()
