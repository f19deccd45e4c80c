"""A transformer block in two pieces around its attention, on a CPU with AMX.

What one layer hands to the next stays tiled (`native.tiled`), sums of the residual stream are made where
they are normalised, and in backward where the norm sends its gradient on. Numbers are those of the layers
one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword.towers import layer_norm, linear
from sightword.towers.eager import eager, watched
from sightword.towers.native import layer_norm as norms
from sightword.towers.native import linear as products
from sightword.towers.native.tiled import Tiled


def fit(
    x: Float[Tensor, "b n w"],
    norm_layers: Iterable[nn.Module],
    linear_layers: Iterable[nn.Module],
    others: Iterable[nn.Module],
) -> bool:
    """Whether `before` and `after` can be had for a block.

    Args:
        x: what the block is given.
        norm_layers: its layer norms.
        linear_layers: its linear layers.
        others: what else is called in it, and would not be.
    """
    if not eager(x) or any(watched(module) for module in others):
        return False
    if not all(isinstance(norm, nn.LayerNorm) and layer_norm.fits(norm, x) for norm in norm_layers):
        return False
    return all(isinstance(layer, nn.Linear) and linear.fits(layer, x) for layer in linear_layers)


def before(
    x: Float[Tensor, "b n w"], norm: nn.LayerNorm, qkv: nn.Linear, tiled: bool
) -> tuple[Float[Tensor, "b n three_w"] | Tiled, Float[Tensor, "b n w"]]:
    """`qkv(norm(x))`, tiled or as x is, and x for `after`."""
    args = norm.weight, norm.bias, norm.eps, qkv.weight.contiguous(), qkv.bias
    numbers, same = _Before.apply(_rows(x), *args, tiled)
    answer = Tiled(numbers, len(same)) if tiled else numbers.unflatten(0, x.shape[:-1])
    return answer, same.view(x.shape)


def after(
    x: Float[Tensor, "b n w"],
    mixed: Float[Tensor, "b n w"] | Tiled,
    proj: nn.Linear,
    norm: nn.LayerNorm,
    first: nn.Linear,
    activation: int,
    second: nn.Linear,
) -> Float[Tensor, "b n w"]:
    """`y + second(activation(first(norm(y))))` of `y = x + proj(mixed)`.

    Args:
        x: the residual stream.
        mixed: attention's answer, tiled or as x is.
        proj: the layer behind attention.
        norm: the second norm.
        first: a layer of the MLP.
        activation: one of `native.linear.ACTIVATIONS`.
        second: the other layer.
    """
    layers = [t for one in (proj, first, second) for t in (one.weight.contiguous(), one.bias)]
    args = norm.weight, norm.bias, norm.eps, activation, *layers
    given = mixed.numbers if isinstance(mixed, Tiled) else _rows(mixed.to(torch.bfloat16))
    answer: Tensor = _After.apply(_rows(x), given, *args)
    return answer.view(x.shape)


def _rows(x: Tensor) -> Tensor:
    return x.contiguous().view(-1, x.shape[-1])


def _as_given(numbers: Tensor, rows: int) -> Tensor | Tiled:
    """Rows in two dimensions, or the numbers of tiled ones."""
    return numbers if numbers.dim() == 2 else Tiled(numbers, rows)


class _Before(torch.autograd.Function):
    """Layer norm and a linear layer; x comes out again, so that its other gradient is added here."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        eps: float,
        weight: Tensor,
        bias: Tensor | None,
        tiled: bool,
    ) -> tuple[Tensor, Tensor]:
        _, known, normed = norms.normalise_sum(x, None, scale, shift, eps)
        ctx.save_for_backward(x, known, normed.numbers, scale, weight)
        if tiled:
            return products.linear_tiled(normed, weight, bias).numbers, x
        return products.linear(normed, weight, bias), x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor, to_x: Tensor) -> tuple[Tensor | None, ...]:
        x, known, normed, scale, weight = ctx.saved_tensors
        given = _as_given(sent.contiguous(), len(x))
        own = products.to_weight(given, Tiled(normed, len(x)), ctx.needs_input_grad[5])
        back = products.to_input_tiled(given, weight)
        made = norms.gradient(back, x, known, scale, to_x.contiguous())
        return made.x if ctx.needs_input_grad[0] else None, made.weight, made.bias, None, *own, None


class _After(torch.autograd.Function):
    """A linear layer, the sum, layer norm, a perceptron and the sum."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mixed: Tensor,
        scale: Tensor,
        shift: Tensor,
        eps: float,
        activation: int,
        proj: Tensor,
        bias: Tensor | None,
        one: Tensor,
        middle: Tensor | None,
        two: Tensor,
        end: Tensor | None,
    ) -> Tensor:
        branch = products.linear_tiled(_as_given(mixed, len(x)), proj, bias)
        total, known, normed = norms.normalise_sum(x, branch, scale, shift, eps)
        inner, slope = products.activated(normed, one, middle, activation)
        tiled = normed.numbers, inner.numbers, slope.numbers
        ctx.save_for_backward(mixed, total, known, scale, proj, one, two, *tiled)
        return norms.add(total, products.linear_tiled(inner, two, end))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        mixed, total, known, scale, proj, one, two, *tiled = ctx.saved_tensors
        normed, inner, slope = (Tiled(numbers, len(total)) for numbers in tiled)
        sent = sent.contiguous()
        short, between = norms.rounded(sent), Tiled.empty(*sent.shape)
        outer = products.to_weight(short, inner, ctx.needs_input_grad[11])
        back = products.to_activated(short, two, slope)
        own = products.to_weight(back, normed, ctx.needs_input_grad[9])
        made = norms.gradient(products.to_input_tiled(back, one), total, known, scale, sent, between)
        given = _as_given(mixed, len(total))
        first = products.to_weight(between, given, ctx.needs_input_grad[7])
        if isinstance(given, Tiled):
            to_mixed = products.to_input_tiled(between, proj).numbers
        else:
            to_mixed = products.to_input(between, proj)
        return made.x, to_mixed, made.weight, made.bias, None, None, *first, *own, *outer
