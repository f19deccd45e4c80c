"""What each GPU of a run must hold: the most over all phases of training, for any number of chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sightword.config import Config
from sightword.planning.ledger import Bytes
from sightword.planning.pretending import one_of
from sightword.planning.rehearsal import Rehearsed, rehearse
from sightword.planning.stage import Kernels
from sightword.training.setup import parsed

_FEW = 4  # chunks; more of them add to a step what two measurements tell


@dataclass(frozen=True)
class Needed:
    """What one of several processes needs.

    most: of the phase of training that takes the most memory.
    flops: of a sample, recomputation included; the mean over training.
    """

    most: Rehearsed
    flops: float


def needed(config: Config, ranks: int, kernels: Kernels = "cuda", rank: int = 0) -> Needed:
    """Rehearse every phase of training: objectives may begin late.

    Args:
        config: the run.
        ranks: processes that share a step, each an equal part of the global batch.
        kernels: whose attention and autocast.
        rank: which of the processes.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    starts = sorted({0.0, *(wish.start for _, wish in parsed(config))})
    with one_of(ranks, rank):
        phases = [_rehearsed(config, ranks, kernels, start) for start in starts]
    shares = [end - start for start, end in zip(starts, [*starts[1:], 1.0], strict=True)]
    rows = config.global_batch // ranks
    flops = sum(share * phase.flops / rows for share, phase in zip(shares, phases, strict=True))
    return Needed(max(phases, key=lambda phase: phase.peak), flops)


def _rehearsed(config: Config, ranks: int, kernels: Kernels, progress: float) -> Rehearsed:
    """With more than a few chunks, what two shorter steps of as large chunks say of this one."""
    rows = config.global_batch // ranks
    chunks = math.ceil(rows / config.chunk) if config.chunk else config.accum_freq
    if chunks <= 2 * _FEW:
        return rehearse(config, kernels, progress)
    size = math.ceil(rows / chunks)
    cut = replace(config, chunk=size, accum_freq=1, ranks=ranks)
    lengths = (_FEW * size, 2 * _FEW * size)
    short, longer = (rehearse(replace(cut, batch_size=n), kernels, progress) for n in lengths)
    return _further(short, longer, (rows / size - _FEW) / _FEW)


def _further(short: Rehearsed, longer: Rehearsed, times: float) -> Rehearsed:
    """On the straight line through two, as many times as far from the first as the second is."""

    def line(a: int, b: int) -> int:
        return round(a + (b - a) * times)

    def lines(a: Bytes, b: Bytes) -> Bytes:
        found = {name: line(a.get(name, 0), b.get(name, 0)) for name in {**a, **b}}
        return {name: size for name, size in found.items() if size > 0}

    return Rehearsed(
        line(short.peak, longer.peak),
        lines(short.at_peak, longer.at_peak),
        lines(short.state, longer.state),
        line(short.flops, longer.flops),
    )
