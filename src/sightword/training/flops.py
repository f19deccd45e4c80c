"""Floating-point operations of a training step, counted by torch on a few samples of a real batch."""

from __future__ import annotations

import copy

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sightword.training.caching import cut
from sightword.training.pretrainer import Pretrainer
from sightword.words import Batch

_ROWS = 8  # enough rows for batch norms; matrix work is linear in the rest


def step_flops(model: Pretrainer, batch: Batch, progress: float, chunks: int) -> float:
    """Forward and backward of one step: matrix products and convolutions, a multiply-add counted as two.

    Counted on a copy of the model and a few rows, scaled to the batch. Feature caching encodes twice, so a
    chunked step costs one forward more (about a third), which is added. The objectives' own pairwise
    products grow faster than the batch; at these widths they are below a thousandth and left out.
    """
    rows = min(_ROWS, len(batch.keys))
    few = cut(batch, torch.arange(rows))
    probe = copy.deepcopy(model)
    with sdpa_kernel(SDPBackend.MATH):  # torch counts none of the fused attention kernels on a CPU
        with FlopCounterMode(display=False) as forward:
            answer = probe(few, progress)
        with FlopCounterMode(display=False) as backward:
            answer.total.backward()
    once = forward.get_total_flops()
    total = once + backward.get_total_flops() + (once if chunks > 1 else 0)
    return total * len(batch.keys) / rows
