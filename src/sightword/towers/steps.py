"""Steps of a residual network in one piece on a CPU: convolution, batch norm, a sum and a ReLU, and again.

The kernels are those that do the steps one by one. But Python and autograd meet all of them once; the
gradient that a shortcut sends to the input is added where the other one is made; and gradients that nobody
else reads are written over each other, which spares memory that would have to be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from sightword import distributed
from sightword.towers.batch_norm import BatchNorm2d
from sightword.towers.convolution import TINY as LARGEST
from sightword.towers.convolution import Pictures, as_rows, flat, learned, patches
from sightword.towers.fused_norm import counted, laid_as
from sightword.towers.native import convolution as convolutions
from sightword.towers.native import norm as norms
from sightword.towers.native.library import current

Numbers = tuple[int, ...]
Pair = tuple[int, int]
_Asked = tuple[Numbers, Pair, Pair]


class Step(NamedTuple):
    """`relu(norm(conv(x)))`, or without the ReLU; of squares of `pooled` places the mean is taken before."""

    conv: nn.Conv2d
    norm: nn.Module
    rectified: bool = True
    pooled: int = 1


class _Known(NamedTuple):
    """A step whose convolution was planned for the map that it meets.

    columns: numbers in a row, where the map is written out as what the kernel sees; else 0.
    """

    step: Step
    plan: convolutions.Plan
    columns: int = 0

    def laid(self, weight: Float32[Tensor, "out c kh kw"]) -> Float32[Tensor, "out _ _ _"]:
        """Weights as the plan wants them: with channels last, as rows, or with a mean in front of them."""
        if self.columns:
            return flat(weight, self.columns)
        if self.step.pooled > 1:
            side = self.step.pooled
            weight = weight.expand(-1, -1, side, side) / side**2
        return weight.contiguous(memory_format=torch.channels_last)

    def own(
        self, gradient: Float32[Tensor, "out _ _ _"], shape: torch.Size
    ) -> Float32[Tensor, "out c kh kw"]:
        """The gradient of weights from that of `laid` ones."""
        if self.columns:
            out, channels, high, wide = shape
            rows = gradient.flatten(1)[:, : high * wide * channels]
            return rows.reshape(out, high, wide, channels).permute(0, 3, 1, 2)
        side = self.step.pooled
        return gradient if side == 1 else gradient.sum((2, 3), keepdim=True) / side**2


class _Way(NamedTuple):
    """Steps, and what is added before the last ReLU: nothing, the input, or what a last step makes of it."""

    steps: tuple[_Known, ...]
    residual: bool = False
    shortcut: _Known | None = None

    @property
    def all(self) -> tuple[_Known, ...]:
        return self.steps if self.shortcut is None else (*self.steps, self.shortcut)


def one_after_another(x: Tensor | Pictures, steps: Sequence[Step]) -> Float[Tensor, "b out h2 w2"] | None:
    """The answer of the last step; None where kernels or steps do not allow it."""
    if not _allowed(steps, x.bytes if isinstance(x, Pictures) else x):
        return None
    columns = 0
    if isinstance(x, Pictures):
        if not as_rows(steps[0].conv, x.bytes) or steps[0].pooled > 1:
            return None
        x = patches(steps[0].conv, x)
        columns = x.shape[1]
    elif not convolutions.by_rows(x):
        return None
    planned = _planned(steps, x, columns)
    return None if planned is None else _answer(x, _Way(planned))


def residual(
    x: Float[Tensor, "b c h w"], steps: Sequence[Step], shortcut: Sequence[Step]
) -> Float[Tensor, "b out h2 w2"] | None:
    """The last step's answer, with `shortcut(x)` added before its ReLU.

    shortcut: a step without a ReLU; none stands for x itself.

    Returns:
        None where kernels or steps do not allow it.
    """
    both = (*steps, *shortcut)
    if len(shortcut) > 1 or not x.permute(2, 3, 0, 1).is_contiguous() or not _allowed(both, x):
        return None
    assert steps[-1].rectified, "the answer tells what the ReLU let through"
    planned, beside = _planned(steps, x), _planned(shortcut, x)
    if planned is None or beside is None:
        return None
    return _answer(x, _Way(planned, True, beside[0] if beside else None))


def _allowed(steps: Sequence[Step], x: Tensor) -> bool:
    """Whether each step learns from the batch of one process, in bfloat16, and is of a common kind."""
    if x.dtype not in (torch.bfloat16, torch.uint8) or distributed.world_size() > 1:
        return False
    named = any(isinstance(step.conv.padding, str) for step in steps)
    return not named and all(learned(step.conv, x) and _plain(step.norm) for step in steps)


def _plain(norm: nn.Module) -> bool:
    if type(norm) is not BatchNorm2d or not norm.training or norm.momentum is None:
        return False
    return type(norm.weight) is nn.Parameter and norm.weight.dtype == torch.float32


def _planned(steps: Sequence[Step], x: Tensor, columns: int = 0) -> tuple[_Known, ...] | None:
    """Steps with their plans; None where a convolution is better done by torch."""
    given = tuple(_asked(step, columns if i == 0 else 0) for i, step in enumerate(steps))
    if not all(convolutions.usable(x.shape[0], weight[1], weight[0]) for weight, _, _ in given):
        return None
    plans = _plans(current(), tuple(x.shape), x.stride(), given)
    if any(max(plan.made[2:]) > LARGEST for plan in plans[1 if columns else 0 :]):
        return None
    wide = (columns, *(0,) * len(plans))
    return tuple(_Known(*one) for one in zip(steps, plans, wide, strict=False))


def _asked(step: Step, columns: int) -> _Asked:
    """Shape of the weights that a plan is made for, stride and padding."""
    out, channels, *kernel = step.conv.weight.shape
    if columns:
        return (out, columns, 1, 1), (1, 1), (0, 0)
    if step.pooled > 1:
        return (out, channels, step.pooled, step.pooled), (step.pooled, step.pooled), (0, 0)
    return (out, channels, *kernel), step.conv.stride, step.conv.padding  # type: ignore[return-value]


@lru_cache(256)
def _plans(
    functions: Any, shape: Numbers, strides: Numbers, asked: tuple[_Asked, ...]
) -> tuple[convolutions.Plan, ...]:
    """The plans of convolutions one after another, by these compiled functions."""
    found = list[convolutions.Plan]()
    for one in asked:
        found.append(convolutions.plan_of(functions, shape, strides, *one))
        shape, strides = found[-1].made, found[-1].made_strides
    return tuple(found)


def _answer(x: Tensor, way: _Way) -> Tensor:
    layers = ((known.step.conv, known.step.norm) for known in way.all)
    parameters = (p for conv, norm in layers for p in (conv.weight, norm.weight, norm.bias))
    answer: Tensor = _InOne.apply(x, way, *parameters)
    return answer


class _InOne(torch.autograd.Function):
    """Kept for backward: `_Kept` of each step, and the answer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, way: _Way, *parameters: Tensor) -> Tensor:
        threes, kept, given = _in_parts(parameters, 3), list[Tensor](), x
        added = x if way.residual else None
        if way.shortcut is not None:
            added, *beside = _forward(way.shortcut, x, threes[-1])
        for known, three in zip(way.steps, threes, strict=False):
            more = added if known is way.steps[-1] else None
            given, *new = _forward(known, given, three, more)
            kept += new
        ctx.way = way
        ctx.save_for_backward(*kept, *([] if way.shortcut is None else beside), given)
        return given

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sent: Tensor) -> tuple[Tensor | None, ...]:
        *kept, answer = ctx.saved_tensors
        parts = [_Kept(*part) for part in _in_parts(kept, len(_Kept._fields))]
        to_x, gradients = _backward(ctx.way, parts, answer, sent, ctx.needs_input_grad[0])
        wanted = zip(gradients, ctx.needs_input_grad[2:], strict=True)
        return to_x, None, *(gradient if needed else None for gradient, needed in wanted)


class _Kept(NamedTuple):
    """Of a step: what it was given, what its norm met and knew of that, and its parameters."""

    x: Tensor
    met: Tensor
    statistics: Tensor
    weight: Tensor
    scale: Tensor


def _forward(
    known: _Known, x: Tensor, parameters: Sequence[Tensor], added: Tensor | None = None
) -> tuple[Tensor, ...]:
    """A step's answer, and what is to be kept of it."""
    weight, scale, shift = parameters
    norm, met = known.step.norm, known.plan.convolve(x, known.laid(weight))
    assert isinstance(norm, BatchNorm2d), "asked before"
    assert norm.momentum is not None, "asked before"
    rest = counted(norm), norm.momentum, norm.eps, known.step.rectified
    answer, statistics = norms.normalise(met, added, scale, shift, *rest)
    return answer, *_Kept(x, met, statistics, weight, scale)


def _backward(
    way: _Way, parts: Sequence[_Kept], answer: Tensor, sent: Tensor, to_input: bool
) -> tuple[Tensor | None, list[Tensor]]:
    """The gradients of the input, where it is wanted, and of each step's parameters."""
    last, to_added = len(way.steps) - 1, None
    gradients = list[Tensor]()
    for i in range(last, -1, -1):
        known, kept = way.steps[i], parts[i]
        both = way.residual and i == last
        told, sent = (answer if both else None), laid_as(sent, kept.met)
        how = both, known.step.rectified, i < last  # only what was made here is written over
        sent, more, *own = norms.gradient(sent, kept.met, told, kept.statistics, kept.scale, *how)
        to_added = more if both else to_added
        gradients[:0] = [_to_weight(known, sent, kept), *own]
        if i > 0:
            sent = known.plan.to_input(sent, known.laid(kept.weight))
    to_x = None
    if to_input:
        beside = to_added if way.shortcut is None else None
        to_x = way.steps[0].plan.to_input(sent, way.steps[0].laid(parts[0].weight), beside)
    if way.shortcut is not None:
        known, kept = way.shortcut, parts[-1]
        assert to_added is not None, "there was a sum"
        how = False, False, True
        sent, _, *own = norms.gradient(to_added, kept.met, None, kept.statistics, kept.scale, *how)
        gradients += [_to_weight(known, sent, kept), *own]
        to_x = known.plan.to_input(sent, known.laid(kept.weight), to_x) if to_input else None
    return to_x, gradients


def _to_weight(known: _Known, sent: Tensor, kept: _Kept) -> Tensor:
    return known.own(known.plan.to_weight(sent, kept.x), kept.weight.shape)


def _in_parts(tensors: Sequence[Tensor], length: int) -> list[Sequence[Tensor]]:
    return [tensors[i : i + length] for i in range(0, len(tensors), length)]
