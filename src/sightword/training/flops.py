"""Floating-point operations of a training step, counted by torch on a few samples of a real batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sightword.training.caching import cut
from sightword.training.pretrainer import Pretrainer
from sightword.words import Batch

_ROWS = 8  # enough rows for batch norms; matrix work is linear in the rest
T = TypeVar("T")


def step_flops(model: Pretrainer, batch: Batch, progress: float, chunks: int) -> float:
    """Forward and backward of one step: matrix products and convolutions, a multiply-add counted as two.

    Counted on a copy of the model and a few rows, among them the longest captions (the text tower computes
    as many tokens as the longest has), and scaled to the batch. Feature caching encodes what learns twice,
    which is added. The objectives' own pairwise products grow faster than the batch; at these widths they
    are below a thousandth and left out.

    Args:
        model: is left as it is.
        batch: the whole batch of the step.
        progress: share of training done, 0 to 1: it decides which objectives count.
        chunks: as for `forward_backward`.
    """
    few = cut(batch, _telling_rows(batch))
    probe = copy.deepcopy(model)
    with sdpa_kernel(SDPBackend.MATH):  # torch counts none of the fused attention kernels on a CPU
        answer, forward = _counted(lambda: probe(few, progress))
        _, backward = _counted(answer.total.backward)
        again = 0
        if chunks > 1:
            again = _counted(lambda: probe.encode(few, progress, still=False))[1]
    return (forward + backward + again) * len(batch.keys) / len(few.keys)


def unreached(model: Pretrainer, batch: Batch, progress: float) -> list[str]:
    """The parameters that train but get no gradient at this share of training, by name.

    Args:
        model: is left as it is.
        batch: of the step; a few of its rows are tried.
        progress: share of training done, 0 to 1: it decides which objectives count.
    """
    probe = copy.deepcopy(model)
    probe(cut(batch, _telling_rows(batch)), progress).total.backward()
    return [name for name, p in probe.named_parameters() if p.requires_grad and p.grad is None]


def _counted(work: Callable[[], T]) -> tuple[T, int]:
    with FlopCounterMode(display=False) as counter:
        done = work()
    return done, counter.get_total_flops()


def _telling_rows(batch: Batch) -> Int64[Tensor, " n"]:
    longest = [int(words.lengths.argmax()) for words in batch.captions.values()]
    rows = list(dict.fromkeys([*longest, *range(len(batch.keys))]))
    return torch.tensor(sorted(rows[:_ROWS]))
