"""How long an optimizer step takes: `python bench/step.py [--rounds 5] [--threads N] [--out FILE]`.

Every setting is a real run on the demo's pictures, opened as `sightword train` opens it: forward, backward
and optimizer step on one batch that is in memory already (data.py measures how batches are made). Settings
take turns in one process; medians are shown, and each objective's step against that of clip.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _results import append

from sightword.config import Config, DataConfig, OptimizerConfig, Precision
from sightword.recipes import models
from sightword.training.caching import forward_backward
from sightword.training.flops import step_flops
from sightword.training.session import begin

MODELS = ("resnet-tiny", "vit-tiny")
OBJECTIVES = ("clip", "clip + simclr(hidden=512, out=128)")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = measured(given.rounds, given.batch_size)
    print(f"{'model':<13}{'objective':<38}{'':<6}{'s/step':>8}{'samples/s':>11}{'GFLOP/s':>9}{'x clip':>8}")
    for row in rows:
        print(
            f"{row['model']:<13}{row['objective']:<38}{row['precision']:<6}{row['seconds']:>8.3f}"
            f"{row['samples_per_second']:>11.0f}{row['gflops_per_second']:>9.0f}{row['against_clip']:>8.2f}"
        )
    setting = {"rounds": given.rounds, "threads": given.threads, "batch_size": given.batch_size}
    append(given.out, "step", rows, **setting)


def measured(rounds: int, batch_size: int) -> list[dict[str, Any]]:
    """One row for each setting."""
    rows: list[dict[str, Any]] = []
    for model, precision in product(MODELS, PRECISIONS):
        with tempfile.TemporaryDirectory() as folder:
            opened = [opened_step(Path(folder), o, model, precision, batch_size) for o in OBJECTIVES]
            seconds = [statistics.median(times) for times in in_turns([step for step, _ in opened], rounds)]
        for objective, taken, (_, flops) in zip(OBJECTIVES, seconds, opened, strict=True):
            rows.append(
                {
                    "model": model,
                    "objective": objective,
                    "precision": precision,
                    "seconds": taken,
                    "samples_per_second": batch_size / taken,
                    "gflops_per_second": flops / taken / 1e9,
                    "against_clip": taken / seconds[0],
                }
            )
    return rows


def in_turns(steps: list[Callable[[], None]], rounds: int) -> list[list[float]]:
    """Seconds of every call; the first round warms up and does not count."""
    times: list[list[float]] = [[] for _ in steps]
    for number in range(rounds + 1):
        for step, own in zip(steps, times, strict=True):
            start = time.perf_counter()
            step()
            if number:
                own.append(time.perf_counter() - start)
    return times


def opened_step(
    folder: Path, objective: str, model: str, precision: Precision, batch_size: int
) -> tuple[Callable[[], None], float]:
    """A function that takes one optimizer step of a new run, and how many FLOPs that is."""
    config = Config(
        objective=objective,
        model=models.find(model),
        data=DataConfig(tokenizer="learned"),
        optimizer=OptimizerConfig(lr=1e-4),
        batch_size=batch_size,
        steps=1000,
        precision=precision,
        out=str(folder / objective),
    )
    session = begin(config)
    batch = session.steps(None)[0]
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        forward_backward(session.model, batch, 0.0, 1, autocast)
        session.optimizer.step()
        session.optimizer.zero_grad(set_to_none=True)
        session.model.after_step(0.0)

    return step, step_flops(session.model, batch, 0.0, 1)


if __name__ == "__main__":
    main()
