"""Linear layers in bfloat16 on a CPU with AMX: by kernels of our own, from float32 weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sightword.towers.eager import eager, in_bfloat16, watched
from sightword.towers.native import linear as native
from sightword.towers.native.tiled import Tiled


def applied(layer: nn.Module, x: Float[Tensor, "*rows n"]) -> Float[Tensor, "*rows out"]:
    """`layer(x)` of a linear layer, or of what stands in its place; see `projected`."""
    if not _plain(layer):
        answer: Tensor = layer(x)
        return answer
    assert isinstance(layer, nn.Linear), "it is plain"
    return projected(x, layer.weight, layer.bias)


def projected(
    x: Float[Tensor, "*rows n"], weight: Float[Tensor, "out n"], bias: Float[Tensor, " out"] | None
) -> Float[Tensor, "*rows out"]:
    """`F.linear(x, weight, bias)`.

    oneDNN's products in bfloat16 are far from what AMX can do, most of all the gradient of weights, and
    around them torch rounds weights, spreads biases and sums gradients in passes of their own. Here weights
    are rounded as they are packed, the bias is added before the sum is rounded, and weights and bias get
    their gradients in float32, as they are summed.
    """
    if not _fits(x, weight, bias):
        return F.linear(x, weight, bias)
    answer: Tensor = _Linear.apply(_rows(x), weight.contiguous(), bias)
    return answer.unflatten(0, x.shape[:-1])


def perceptron(
    first: nn.Module, activation: int | None, second: nn.Module, x: Float[Tensor, "*rows n"]
) -> Float[Tensor, "*rows out"] | None:
    """`second(activation(first(x)))`, with the activation and its gradient in the same pass as products.

    None: it cannot be had.

    Args:
        first: the layer before it.
        activation: one of `native.ACTIVATIONS`.
        second: the layer behind it.
        x: what the first is given.
    """
    if activation is None or not (_plain(first) and _plain(second)):
        return None
    assert isinstance(first, nn.Linear), "it is plain"
    assert isinstance(second, nn.Linear), "it is plain"
    if not _fits(x, first.weight, first.bias) or not _fits(x, second.weight.t(), second.bias):
        return None
    weights = first.weight, first.bias, second.weight, second.bias
    answer: Tensor = _Perceptron.apply(
        _rows(x), activation, *(None if w is None else w.contiguous() for w in weights)
    )
    return answer.unflatten(0, x.shape[:-1])


def fits(layer: nn.Linear, x: Float[Tensor, "*rows n"]) -> bool:
    """Whether our kernels can stand in for a layer to which as many rows come as x has, all of it learned."""
    learned = layer.bias is None or layer.bias.requires_grad
    return _plain(layer) and learned and _fits(x, layer.weight, layer.bias)


def _plain(layer: nn.Module) -> bool:
    """Nobody's own kind of layer, and nobody waits for its calls."""
    return type(layer) is nn.Linear and not watched(layer)


def _fits(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Under autocast, where weights are learned; see also `eager`."""
    if not (torch.is_grad_enabled() and weight.requires_grad) or not in_bfloat16(x) or not eager(x):
        return False
    given = [weight] if bias is None else [weight, bias]
    if any(type(t) not in (Tensor, nn.Parameter) for t in given):
        return False
    if any(t.dtype != torch.float32 for t in given):
        return False
    return native.usable(x.numel() // max(1, x.shape[-1]), weight.shape[1], weight.shape[0])


def _rows(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).flatten(0, -2).contiguous()


class _Linear(torch.autograd.Function):
    """Rows in bfloat16 by float32 weights, rounded; weights and bias get float32 back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return native.linear(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), sent = ctx.saved_tensors, sent.contiguous()
        own = native.to_weight(sent, x, ctx.needs_input_grad[2])
        return native.to_input(sent, weight) if ctx.needs_input_grad[0] else None, *own


class _Perceptron(torch.autograd.Function):
    """Two such layers and the activation between, of which its answer and its slope are kept for backward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        activation: int,
        one: Tensor,
        bias: Tensor | None,
        two: Tensor,
        end: Tensor | None,
    ) -> Tensor:
        inner, slope = native.activated(x, one, bias, activation)
        ctx.save_for_backward(x, one, two, inner.numbers, slope.numbers)
        return native.linear(inner, two, end)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        (x, one, two, *hidden), sent = ctx.saved_tensors, sent.contiguous()
        inner, slope = (Tiled(numbers, len(x)) for numbers in hidden)
        outer = native.to_weight(sent, inner, ctx.needs_input_grad[5])
        back = native.to_activated(sent, two, slope)
        own = native.to_weight(back, x, ctx.needs_input_grad[3])
        to_x = native.to_input(back, one) if ctx.needs_input_grad[0] else None
        return to_x, None, *own, *outer
