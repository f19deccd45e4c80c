"""Convolutions in bfloat16 on a CPU, computed in faster ways than torch's where maps are small."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import BFloat16, Float, Float32, UInt8
from torch import Tensor, nn

from sightword.towers.eager import cast_to_bfloat16, eager, in_bfloat16
from sightword.towers.native import convolution as native

Pair = tuple[int, int]
TINY = 8  # places that a map is wide or high, at most: torch's own convolution is slower there than ours
_SMALL = 7  # the same for the gradient of weights as one product, where the processor has no tiles
_FEW = 256  # numbers that a kernel sees at a place, at most, to be written out as rows


class Pictures(NamedTuple):
    """Pictures that are still to be normalised: bytes times `scale`, less `shift`."""

    bytes: UInt8[Tensor, "b c h w"]
    scale: Float[Tensor, " c"]
    shift: Float[Tensor, " c"]

    def normalised(self) -> Float[Tensor, "b c h w"]:
        """With channels last."""
        scale, shift = self.scale[:, None, None], self.shift[:, None, None]
        return (self.bytes * scale - shift).contiguous(memory_format=torch.channels_last)


def convolved(
    conv: nn.Conv2d, x: Float[Tensor, "b c h w"] | Pictures, pooled: int = 1
) -> Float[Tensor, "b out h2 w2"]:
    """`conv(x)`, or `conv(avg_pool2d(x, pooled))` of a 1x1 convolution that does not stride.

    oneDNN's convolutions in bfloat16 work along a map's rows and idle where those are short; most of all the
    gradient of weights, which takes up to ten times as long as the other two products of a step. On
    processors with AMX kernels of our own work along the batch instead: on maps of at most 8 places to a
    side for all three, on larger ones for the weights alone. Elsewhere the gradient of weights is a matrix
    product where maps are small. A mean before the convolution becomes taps of its kernel, and small pictures
    are written out as what the kernel sees.
    """
    if isinstance(x, Pictures):
        if as_rows(conv, x.bytes) and pooled == 1:
            rows = patches(conv, x)
            return _Convolution.apply(rows, flat(conv.weight, rows.shape[1]), (1, 1), (0, 0), True, True)
        x = x.normalised()
    if not _simple(conv, x):
        return conv(_pooled(x, pooled))
    x, weight = x.to(torch.bfloat16), conv.weight
    assert not isinstance(conv.padding, str), "not simple"
    stride, padding = (conv.stride[0], conv.stride[1]), (conv.padding[0], conv.padding[1])
    tiled = native.usable(x.shape[0], x.shape[1], conv.out_channels)
    largest = max(_sides(conv, x)) // pooled
    if tiled and largest <= TINY:
        if pooled > 1:
            weight, stride = weight.expand(-1, -1, pooled, pooled) / pooled**2, (pooled, pooled)
        return _Convolution.apply(x, _laid(weight), stride, padding, True, True)
    x = _pooled(x, pooled)
    weighs = tiled and (largest <= 2 * TINY or conv.kernel_size != (1, 1))
    if not (weighs or largest <= _SMALL) or not x.is_contiguous(memory_format=torch.channels_last):
        return conv(x)
    ours: Tensor = _Convolution.apply(x, _laid(weight), stride, padding, False, weighs)
    return ours


def _pooled(x: Tensor, size: int) -> Tensor:
    return x if size == 1 else F.avg_pool2d(x, size)


def _laid(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)


def _simple(conv: nn.Conv2d, x: Tensor) -> bool:
    """A plain convolution of what is in bfloat16 here, or is cast to it, and lies as our kernels read it."""
    return learned(conv, x) and in_bfloat16(x) and not isinstance(conv.padding, str) and native.by_rows(x)


def learned(conv: nn.Conv2d, x: Tensor) -> bool:
    """A convolution that is learned under autocast; see also `eager`."""
    if not (torch.is_grad_enabled() and conv.weight.requires_grad) or not cast_to_bfloat16() or not eager(x):
        return False
    plain = conv.bias is None and conv.groups == 1 and conv.dilation == (1, 1)
    plain = plain and conv.padding_mode == "zeros" and conv.weight.dtype == torch.float32
    return plain and type(conv.weight) is nn.Parameter


def as_rows(conv: nn.Conv2d, x: UInt8[Tensor, "b c h w"]) -> bool:
    """Whether pictures of few channels are better written out as what the kernel sees."""
    if not learned(conv, x) or isinstance(conv.padding, str) or conv.weight[0].numel() > _FEW:
        return False
    small = max(_sides(conv, x)) <= 2 * TINY and x.is_contiguous()
    return small and native.usable(x.shape[0], native.BLOCK, conv.out_channels)


def patches(conv: nn.Conv2d, x: Pictures) -> BFloat16[Tensor, "b columns h2 w2"]:
    """What the kernel sees of pictures at each place, normalised, with zeros to a whole number of tiles."""
    assert not isinstance(conv.padding, str), "asked before"
    (high, wide), channels = conv.kernel_size, x.bytes.shape[1]
    columns = -(-high * wide * channels // native.BLOCK) * native.BLOCK
    stride, padding = (conv.stride[0], conv.stride[1]), (conv.padding[0], conv.padding[1])
    plan = native.plan(x.bytes, (columns, channels, high, wide), stride, padding)
    return plan.patches(x.bytes, x.scale.contiguous(), x.shift.contiguous())


def _sides(conv: nn.Conv2d, x: Tensor) -> list[int]:
    """Height and width of the answer's map."""
    assert not isinstance(conv.padding, str), "asked before"
    sides = zip(x.shape[2:], conv.kernel_size, conv.stride, conv.padding, strict=True)
    return [(side + 2 * pad - kernel) // stride + 1 for side, kernel, stride, pad in sides]


def flat(weight: Float32[Tensor, "out c kh kw"], columns: int) -> Float32[Tensor, "out columns 1 1"]:
    """Kernels as rows, the order that `native.patches` writes, with zeros to the end."""
    rows = weight.permute(0, 2, 3, 1).flatten(1)
    return F.pad(rows, (0, columns - rows.shape[1]))[:, :, None, None]


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
