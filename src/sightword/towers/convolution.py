"""A convolution on a CPU whose weight gradient is computed in a faster way than torch's."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import BFloat16, Float
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from sightword.towers.native.gradient import usable, weight_gradient

_SMALL = 7  # places that a map is wide or high, at most: in a row of so few torch's own kernel idles


def convolved(conv: nn.Conv2d, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h2 w2"]:
    """`conv(x)`.

    The gradient of weights in bfloat16 on a CPU is slow in oneDNN, slowest where maps are small, for it works
    along their rows: up to ten times as long as the other two products of a step. With AMX a kernel of our
    own makes it; without, a matrix product where maps are small.
    """
    if not _pays(conv, x):
        answer: Tensor = conv(x)
        return answer
    ours: Tensor = _OwnGradient.apply(x.to(torch.bfloat16), conv.weight, conv.stride, conv.padding)
    return ours


def _pays(conv: nn.Conv2d, x: Tensor) -> bool:
    if x.device.type != "cpu" or not (torch.is_grad_enabled() and conv.weight.requires_grad):
        return False
    if type(x) is not Tensor or torch.compiler.is_compiling() or _get_current_dispatch_mode() is not None:
        return False
    simple = (
        conv.bias is None and conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    )
    if not simple or isinstance(conv.padding, str) or not _in_bfloat16(x):
        return False
    rows = x.is_contiguous(memory_format=torch.channels_last)
    faster = usable(conv.out_channels) or max(_size(conv, x)) <= _SMALL
    return rows and faster and type(conv.weight) is nn.Parameter


def _in_bfloat16(x: Tensor) -> bool:
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return cast and x.dtype in (torch.bfloat16, torch.float32)


def _size(conv: nn.Conv2d, x: Tensor) -> list[int]:
    """Height and width of the answer's map."""
    assert not isinstance(conv.padding, str), "asked before"
    sides = zip(x.shape[2:], conv.kernel_size, conv.stride, conv.padding, strict=True)
    return [(side + 2 * pad - kernel) // stride + 1 for side, kernel, stride, pad in sides]


class _OwnGradient(torch.autograd.Function):
    """Torch's own convolution of x, bfloat16, by float32 weights rounded to it; weights get float32 back."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        rounded = weight.to(x.dtype)
        ctx.save_for_backward(x, rounded)
        ctx.stride, ctx.padding = stride, padding
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(x, rounded, None, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        x, rounded = ctx.saved_tensors
        stride, padding = ctx.stride, ctx.padding
        sent = sent.contiguous(memory_format=torch.channels_last)
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            asked = [True, False, False]
            back = torch.ops.aten.convolution_backward
            to_x = back(sent, x, rounded, None, stride, padding, [1, 1], False, [0, 0], 1, asked)[0]
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(sent, x, rounded.shape[2:], stride, padding)
        return to_x, to_weight, None, None


def _weight_gradient(
    sent: BFloat16[Tensor, "b out h2 w2"],
    x: BFloat16[Tensor, "b c h w"],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Float[Tensor, "out c kh kw"]:
    """Every place's patch of x as a row, times the gradients sent to the places."""
    channels, rows_of_x = sent.permute(0, 2, 3, 1), x.permute(0, 2, 3, 1)
    if usable(sent.shape[1]):
        return weight_gradient(channels, rows_of_x, kernel, stride, padding).permute(0, 3, 1, 2)
    padded = F.pad(rows_of_x, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    b, h, w, out = channels.shape
    (high, wide), (down, right), c = kernel, stride, x.shape[1]
    each, row, place, _ = padded.stride()
    patches = padded.as_strided((b, h, w, high, wide * c), (each, row * down, place * right, row, 1))
    rows = patches.reshape(b * h * w, high * wide * c)
    product = channels.reshape(b * h * w, out).t() @ rows
    return product.view(out, high, wide, c).permute(0, 3, 1, 2).float()
