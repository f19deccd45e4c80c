"""What a step of every objective costs beside one of clip on the same model, against what is predicted."""

from __future__ import annotations

import gc
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _ours import STEP, Ours, full_captions, opened
from _sides import quartiles, timed
from costs import gigaflops

from sightword.config import ModelConfig
from sightword.errors import SightwordError
from sightword.objectives import catalogue
from sightword.recipes import models
from sightword.training.matmul import multiplying
from sightword.training.stepping import Stepper

Parts = tuple[float, float]  # seconds of forward and backward, and of the update


def objective_rows(name: str, rows: int, rounds: int, only: str = "") -> list[dict[str, Any]]:
    """Each objective of the catalogue alone and beside clip, in turns with clip alone."""
    model, found = models.find(name), []
    print(f"{'objective':<30}{'x clip':>8}  {'quartiles':<12}{'predicted':>10}{'update, s':>11}")
    with tempfile.TemporaryDirectory() as folder:
        clip = full_captions(opened(Path(folder), "clip", model, rows))
        for objective in wanted(only):
            row = row_of(Path(folder), objective, clip, model, rounds)
            if row is not None:
                found.append(row | {"rows": rows})
                show(row)
            gc.collect()
    return found


def wanted(only: str) -> Iterator[str]:
    """Sums to measure."""
    for name in catalogue.names():
        if name != "clip":
            yield from (one for one in (name, f"clip + {name}") if only in one)


def row_of(
    folder: Path, objective: str, clip: Ours, model: ModelConfig, rounds: int
) -> dict[str, Any] | None:
    """None where the objective and the model do not go together."""
    predicted, base = gigaflops(objective, model), gigaflops("clip", model)
    if predicted is None or base is None:
        return None
    try:
        ours = full_captions(opened(folder, objective, model, len(clip.batch.keys)))
    except SightwordError as error:
        print(f"{objective}: left out, {error}", flush=True)
        return None
    steps = [parts(one) for one in (clip, ours)]
    rounds_of = [[step() for step in steps] for _ in range(rounds + 1)][1:]
    each = [own[0] / other[0] for other, own in rounds_of]
    return {
        "objective": objective,
        "measured": statistics.median(each),
        "quartiles": quartiles(each),
        "predicted": predicted / base,
        "whole_step": statistics.median(sum(own) / sum(other) for other, own in rounds_of),
        "seconds": statistics.median(own[0] for _, own in rounds_of),
        "update_seconds": statistics.median(own[1] for _, own in rounds_of),
    }


def parts(ours: Ours) -> Callable[[], Parts]:
    """A step of the run: predictions are of its forward and backward, not of its update."""
    stepper = Stepper(ours.session)

    def step() -> Parts:
        with multiplying(ours.session.float32_matmul):
            thought = timed(lambda: stepper.forward_backward(STEP, ours.batch, False, False))
            return thought, timed(lambda: stepper.update(STEP))

    return step


def show(row: dict[str, Any]) -> None:
    """A line for people."""
    spread = f"{row['quartiles'][0]:.2f}-{row['quartiles'][1]:.2f}"
    print(
        f"{row['objective']:<30}{row['measured']:>8.2f}  {spread:<12}{row['predicted']:>10.2f}"
        f"{row['update_seconds']:>11.3f}",
        flush=True,
    )
