"""How much memory a step takes on a GPU, and the largest batch that fits."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from typing import Any

import torch
from _ours import STEP, Ours
from torch import Tensor

from sightword.training.stepping import Stepper
from sightword.words import Batch, Words

_CLOSE = 0.02  # of the batch: bisection ends there


def memory_of(step: Callable[[], None], device: torch.device) -> float:
    """MiB that torch's allocator held at most in a step, everything that lay there before included."""
    if device.type != "cuda":
        step()
        return 0.0
    torch.cuda.reset_peak_memory_stats(device)
    step()
    return torch.cuda.max_memory_allocated(device) / 2**20


def largest(ours: Ours, most: int = 0) -> dict[str, Any]:
    """Doubled until a step does not fit, then bisected; `most` ends it where nothing runs out."""
    good, bad, rows = 0, 0, len(ours.batch.keys)
    while not bad and not (most and rows > most):
        good, bad = (rows, 0) if fits(ours, rows) else (good, rows)
        rows *= 2
    while bad and bad - good > max(1, _CLOSE * good):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(ours, middle) else (good, middle)
    device = ours.session.device
    peak = memory_of(lambda: step_of(ours, good), device)
    return {"largest": good, "too_large": bad or None, "memory_mib": peak}


def fits(ours: Ours, rows: int) -> bool:
    """Whether two steps with so many rows go through: the first has no optimizer state yet."""
    try:
        for _ in range(2):
            step_of(ours, rows)
        return True
    except torch.OutOfMemoryError:
        ours.session.optimizer.zero_grad(set_to_none=True)
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def step_of(ours: Ours, rows: int) -> None:
    """A step of a batch that repeats ours."""
    stepper, batch = Stepper(ours.session), repeated(ours.batch, rows)
    stepper.forward_backward(STEP, batch, False, False)
    stepper.update(STEP)


def repeated(batch: Batch, rows: int) -> Batch:
    """As many rows as asked, one batch after the other."""
    index = torch.arange(rows, device=batch.ids.device) % len(batch.keys)

    def of(tensor: Tensor) -> Tensor:
        return tensor[index.to(tensor.device)]

    return dataclasses.replace(
        batch,
        keys=tuple(batch.keys[i] for i in index.tolist()),
        ids=of(batch.ids),
        epochs=of(batch.epochs) if isinstance(batch.epochs, Tensor) else batch.epochs,
        views={view: of(pixels) for view, pixels in batch.views.items()},
        captions={c: Words(of(w.ids), of(w.lengths)) for c, w in batch.captions.items()},
    )
