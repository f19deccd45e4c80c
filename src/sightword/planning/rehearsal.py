"""Steps of the real program, rehearsed without computing them: what a process holds in memory, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from sightword.config import Config
from sightword.planning import ledger as purposes
from sightword.planning.imagining import Imagination
from sightword.planning.ledger import Bytes
from sightword.planning.stage import Kernels, Stage, stage
from sightword.training.caching import forward_backward
from sightword.training.gradients import TermGradients
from sightword.training.optimizer import gradient_norm
from sightword.training.together.parallel import sharded

_STEPS = 1000  # of a run whose length does not matter


@dataclass(frozen=True)
class Rehearsed:
    """What one process needs, bytes, and computes.

    peak: the most that ever lives in a step of a run that is under way.
    at_peak: the same by purpose.
    state: what lives between steps, by purpose.
    flops: of a step of this process, recomputation and pairwise products included.
    """

    peak: int
    at_peak: Bytes
    state: Bytes
    flops: int


def rehearse(
    config: Config, kernels: Kernels = "cuda", progress: float = 1.0, metered: bool = True
) -> Rehearsed:
    """Take a step as this process would, of as many as `distributed.world_size()` says.

    Args:
        config: the run.
        kernels: whose attention and whose autocast.
        progress: share of training done: which objectives count.
        metered: as in steps that record each term's own gradient: they take the most memory.

    Raises:
        SightwordError: when objectives and towers do not fit each other.
    """
    with stage(replace(config, steps=_STEPS, epochs=0.0), kernels, progress) as run:
        ledger = run.imagination.ledger
        run.make_state()
        ledger.restart()
        _step(run, metered)
        return Rehearsed(ledger.peak, ledger.at_peak, ledger.now(), run.imagination.flops)


def _step(run: Stage, metered: bool) -> None:
    """As the loop takes it (`training.stepping`), but that what the meter computes is not counted."""
    session, stepper, ledger = run.session, run.stepper, run.imagination.ledger
    model, progress = session.model, session.progress(run.step)
    asked = metered and not sharded(model)
    meter = _Meter(model.encoders.towers["image"], run.imagination) if asked else None
    with ledger.purpose(purposes.BACKWARD):
        engine = stepper.engine(run.step, run.batch)
        forward_backward(engine, run.batch, progress, session.chunks, stepper.autocast, meter)
        del meter
        gradient_norm(model, session.config.optimizer.grad_clip)
    with ledger.purpose(purposes.OPTIMIZER):
        stepper.update(run.step)


class _Meter(TermGradients):
    """Its passes take memory, and are no part of a usual step's arithmetic."""

    def __init__(self, shared: nn.Module, imagination: Imagination) -> None:
        super().__init__(shared)
        self._imagination = imagination

    def add(self, name: str, outputs: Sequence[Tensor], gradients: Sequence[Tensor] | None = None) -> None:
        self._imagination.counts = False
        super().add(name, outputs, gradients)
        self._imagination.counts = True
