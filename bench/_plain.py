"""The plain path: what training would compute without any of its short cuts, swapped in from outside.

Nothing in the product knows of this. What is swapped must exist under its name, else `mock.patch` raises: so
this file cannot go on comparing a path with itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sightword.config import OptimizerConfig
from sightword.losses import contrast
from sightword.towers import blocks, resnet, stems, text
from sightword.towers.convolution import Pictures
from sightword.towers.native.library import SETTING
from sightword.training import pretrainer, session
from sightword.training.matmul import full_accuracy, multiplying
from sightword.training.optimizer import make_optimizer
from sightword.training.plan import EncodingPlan, Pass, make_plan
from sightword.words import Encode


@contextmanager
def plainly() -> Iterator[None]:
    """For opening a run as for its steps."""
    swaps = [
        (text, "_keeps_shapes", lambda: True),  # captions padded to the whole context
        (blocks, "attend", _sdpa),
        (stems.PatchStem, "forward", _convolution),
        (stems.PatchStem, "embed", _seen_patches),
        (resnet, "convolved", _convolved),
        (session, "make_optimizer", _one_by_one),
        (pretrainer, "make_plan", _apart),
        (contrast, "LARGE", sys.maxsize),  # logits are kept
    ]
    full_accuracy(torch.device("cpu"))  # what it finds is remembered: it must not look around in here
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {SETTING: "0"}))  # no kernels of our own
        for place, name, replacement in swaps:
            stack.enter_context(mock.patch.object(place, name, replacement))
        stack.enter_context(multiplying("highest"))
        # Whoever asks for another mode meanwhile asks in vain.
        stack.enter_context(mock.patch.object(torch, "set_float32_matmul_precision"))
        yield


@contextmanager
def fast() -> Iterator[None]:
    """Training as it is; logits come in pieces also of a batch that is too small to need it."""
    with mock.patch.object(contrast, "LARGE", 0):
        yield


def _convolved(conv: nn.Conv2d, x: Tensor | Pictures, pooled: int = 1) -> Tensor:
    x = x.normalised() if isinstance(x, Pictures) else x
    answer: Tensor = conv(x if pooled == 1 else F.avg_pool2d(x, pooled))
    return answer


def _sdpa(q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None = None, causal: bool = False) -> Tensor:
    mask = None if valid is None else valid[:, None, None, :]
    if causal and mask is not None:
        mask, causal = mask & torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril(), False
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def _convolution(stem: stems.PatchStem, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The patch embedding as everybody writes it, of pictures that were normalised before."""
    shape, kernels = (3, 1, 1), stem.weight.view(-1, 3, stem.size, stem.size)
    normalised = (images / 255 - mean.view(shape)) / std.view(shape)
    return F.conv2d(normalised, kernels, stem.bias, stride=stem.size).flatten(2).transpose(1, 2)


def _seen_patches(stem: stems.PatchStem, cut: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The same of patches that were cut before, because others are hidden."""
    colours = cut.unflatten(2, (3, -1)) / 255
    normalised = (colours - mean[:, None]) / std[:, None]
    return F.linear(normalised.flatten(2), stem.weight, stem.bias)


def _one_by_one(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """The same groups, each tensor by itself."""
    groups = make_optimizer(model, config).param_groups
    told = [{"params": g["params"], "weight_decay": g["weight_decay"]} for g in groups]
    return torch.optim.AdamW(told, config.lr, config.betas, config.eps, fused=False, foreach=False)


def _apart(wants: Sequence[Mapping[str, Encode]], mixing: Sequence[str] = ()) -> EncodingPlan:
    """Every want goes through its tower by itself."""
    plan = make_plan(wants, mixing)
    return EncodingPlan(tuple(Pass(p.tower, p.teacher, (e,)) for p in plan.passes for e in p.encodes))
