"""Two ways of one training step, time after time from the same weights: chaos has no time to grow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from sightword.config import Config
from sightword.training.matmul import multiplying
from sightword.training.session import Session, begin
from sightword.training.stepping import Stepper
from sightword.words import Batch

Way = Callable[[], AbstractContextManager[None]]


def lockstep(config: Config, folder: Path, own: Way, plain: Way, steps: int) -> dict[str, float]:
    """How far losses and gradients of own and plain steps are apart; the own way's weights go on.

    Gradients are held against plain ones in float64: where a ReLU's input is all but zero, rounding decides
    whether it passes, and either answer is right. So it is their medians that tell.
    """
    ways, runs = {"own": own, "plain": plain, "exact": plain}, {}
    for name, way in ways.items():
        with way():
            session = opened(replace(config, out=str(folder / f"lockstep-{name}")))
            runs[name] = way, session, Stepper(session)
    runs["exact"][1].model.double()
    made, found = runs["own"][1].steps(None), list[tuple[float, float, float]]()
    for step in range(steps):
        for name in ("plain", "exact"):
            runs[name][1].model.load_state_dict(runs["own"][1].model.state_dict())
        (loss, mine), (other, theirs), (_, exact) = (gradients(r, step, made[step]) for r in runs.values())
        far = [float((one - exact).norm() / exact.norm()) for one in (mine, theirs)]
        found.append((abs(loss / other - 1), far[0], far[1]))
        with own():
            runs["own"][2].update(step)
        for name in ("plain", "exact"):
            runs[name][1].optimizer.zero_grad(set_to_none=True)
    losses, own_far, plain_far = zip(*found, strict=True)
    gradient = {"step_gradient": median(own_far), "step_gradient_plain": median(plain_far)}
    return {"step_loss": max(losses), **gradient}


def opened(config: Config) -> Session:
    """A new run, ready to train."""
    session = begin(config)
    session.model.train()
    return session


def gradients(run: tuple[Way, Session, Stepper], step: int, batch: Batch) -> tuple[float, Tensor]:
    """The loss, and the whole gradient as one vector."""
    way, session, stepper = run
    with way(), multiplying(session.float32_matmul):
        loss = stepper.forward_backward(step, batch, False, False).loss
    parameters: Any = session.model.parameters()
    return loss, torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    )
