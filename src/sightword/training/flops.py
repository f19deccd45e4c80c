"""Floating-point operations of a training step, counted by torch on a few samples of a real batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Int, Int64
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sightword.towers.packing import without_padding
from sightword.training.caching import cut
from sightword.training.pretrainer import Pretrainer
from sightword.words import Batch, Words

_ROWS = 8  # enough rows for batch norms; matrix work is linear in the rest
T = TypeVar("T")


def step_flops(model: Pretrainer, batch: Batch, progress: float, chunks: int) -> float:
    """Forward and backward of one step: matrix products and convolutions, a multiply-add counted as two.

    Counted on a copy of the model and a few rows, and scaled to the batch. In the text tower only real tokens
    count, as though no row were padded, so that every machine comes to the same number; what encodes captions
    beside it computes as many tokens as the longest has. Feature caching encodes what learns twice, which is
    added. The objectives' own pairwise products grow faster than the batch; at these widths they are below a
    thousandth and left out.

    Args:
        model: is left as it is.
        batch: the whole batch of the step.
        progress: share of training done, 0 to 1: it decides which objectives count.
        chunks: as for `forward_backward`.
    """
    few = representative(batch)
    probe = copy.deepcopy(model)
    with (
        without_padding(),
        sdpa_kernel(SDPBackend.MATH),
    ):  # torch counts none of the fused attention kernels on a CPU
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
    probe(cut(batch, torch.arange(min(_ROWS, len(batch.keys)))), progress).total.backward()
    return [name for name, p in probe.named_parameters() if p.requires_grad and p.grad is None]


def _counted(work: Callable[[], T]) -> tuple[T, int]:
    with FlopCounterMode(display=False) as counter:
        done = work()
    return done, counter.get_total_flops()


def representative(batch: Batch) -> Batch:
    """A few rows of a batch, their captions as long on average as all are, and the longest as the longest.

    What the captions say is as it may be: to count by, not to learn from.
    """
    lengths = {caption: words.lengths.cpu() for caption, words in batch.captions.items()}
    rows = max([_ROWS, *map(_enough, lengths.values())])
    if rows >= len(batch.keys):
        return batch
    few = cut(batch, torch.arange(rows))
    said = {c: Words(w.ids, _as_long(lengths[c], rows).to(w.lengths)) for c, w in few.captions.items()}
    return replace(few, captions=said)


def _enough(lengths: Int[Tensor, " b"]) -> int:
    """Rows among which the longest can be without the others' being shorter than the shortest."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    more = float(lengths.double().mean()) - shortest
    return math.ceil((longest - shortest) / more) if more else 1


def _as_long(lengths: Int[Tensor, " b"], rows: int) -> Int64[Tensor, " rows"]:
    longest, total = int(lengths.max()), round(float(lengths.double().mean()) * rows)
    each, left = divmod(total - longest, rows - 1)
    return torch.tensor([longest] + [each + 1] * left + [each] * (rows - 1 - left))
