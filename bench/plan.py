"""What `sightword plan` predicts against real steps: `python bench/plan.py [--only TEXT] [--out FILE]`.

Each case is a real training step in a process of its own: parameters, forward, backward, AdamW, with each
term's own gradient as in recorded steps. Memory is what the kernel says of the process (on a GPU: CUDA's
allocator), FLOPs are those that torch counts while it computes. On a GPU the papers' sizes are measured, on a
CPU small towers with enough rows that activations take hundreds of megabytes. The exit code is 1 when a
prediction is more than a tenth off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from _results import append

from sightword.config import Config, DataConfig, ModelConfig, to_toml
from sightword.planning.memory import needed
from sightword.recipes import models

LIMIT = 0.1
SMALL = {
    "simclr": "clip + simclr(hidden=512, out=128)",
    "mae": "clip + mae(decoder_width=128, decoder_layers=2, decoder_heads=4)",
    "distillation": "clip + 0.1 * self-distillation(hidden=256, bottleneck=64, out=4096)",
}
LARGE = {"simclr": "clip + simclr", "mae": "clip + mae", "distillation": "clip + 0.1 * self-distillation"}


@dataclass(frozen=True)
class Case:
    """One step to predict and to take."""

    objective: str
    rows: int
    chunk: int = 0
    checkpointing: bool = False
    precision: str = "bf16"

    def config(self, model: ModelConfig) -> Config:
        """The run that takes such steps."""
        return Config(
            objective=self.objective,
            model=model,
            data=DataConfig(tokenizer="clip"),
            batch_size=self.rows,
            steps=1000,
            chunk=self.chunk,
            grad_checkpointing=self.checkpointing,
            precision="fp32" if self.precision == "fp32" else "bf16",
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="cases whose objective holds this text")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "plan.jsonl")
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = models.vit_b16() if device == "cuda" else small_model()
    rows = []
    print(f"{'objective':<70}{'rows':>5}{'chunk':>6}{'ckpt':>5}{'':>5}  memory MB (off)      GFLOP (off)")
    for case in (c for c in cases(device) if given.only in c.objective):
        rows.append(compared(case, model, device))
        show(rows[-1])
    append(given.out, "plan", rows, device=device, model=model.name, torch=torch.__version__)
    worst = max(abs(row[f"{what}_off"]) for row in rows for what in ("memory", "flops"))
    print(f"furthest off: {worst:.1%}")
    sys.exit(worst > LIMIT)


def cases(device: str) -> Iterator[Case]:
    """On a CPU some hundred megabytes to two gigabytes, on a GPU some ten gigabytes."""
    sums, n = (LARGE, 128) if device == "cuda" else (SMALL, 64)
    yield Case("clip", 4 * n)
    yield Case("clip", 4 * n, chunk=n)
    yield Case("clip", 4 * n, checkpointing=True)
    yield Case("clip", 2 * n, precision="fp32")
    yield Case("siglip", 4 * n)
    yield Case(sums["simclr"], 2 * n)
    yield Case(sums["simclr"], 4 * n, chunk=n)
    yield Case(sums["simclr"], 4 * n, checkpointing=True)
    yield Case(sums["mae"], 4 * n)
    yield Case(sums["distillation"], n)
    yield Case(sums["distillation"], 3 * n, chunk=n, checkpointing=True)


def small_model() -> ModelConfig:
    """vit-tiny with half its layers: a step of some hundred rows takes seconds."""
    tiny = models.vit_tiny()
    return replace(tiny, name="vit-tiny/6", image=replace(tiny.image, layers=(6,)))


def compared(case: Case, model: ModelConfig, device: str) -> dict[str, Any]:
    """Prediction and measurement."""
    config = case.config(model)
    predicted = needed(config, 1, "cuda" if device == "cuda" else "cpu")
    measured = stepped(config, device)
    flops = predicted.flops * case.rows
    return {
        **vars(case),
        "memory_predicted": predicted.most.peak,
        "memory_measured": measured["peak"],
        "memory_off": predicted.most.peak / measured["peak"] - 1,
        "flops_predicted": flops,
        "flops_measured": measured["flops"],
        "flops_off": flops / measured["flops"] - 1,
        "seconds": measured["seconds"],
    }


def stepped(config: Config, device: str) -> dict[str, Any]:
    """What a fresh process measures. Its allocator gives memory back at once, or it would hold on to gaps."""
    child = Path(__file__).with_name("_plan_step.py")
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_text(to_toml(config), encoding="utf-8")
        command = [sys.executable, str(child), str(file), device]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{config.objective}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(row: dict[str, Any]) -> None:
    """A line for people."""
    told = []
    for what, unit in (("memory", 1e6), ("flops", 1e9)):
        predicted, measured = row[f"{what}_predicted"] / unit, row[f"{what}_measured"] / unit
        told.append(f"{predicted:,.0f} of {measured:,.0f} ({row[f'{what}_off']:+.1%})")
    again = "yes" if row["checkpointing"] else ""
    print(
        f"{row['objective']:<70}{row['rows']:>5}{row['chunk']:>6}{again:>5}{row['precision']:>5}"
        f"  {told[0]:<24}  {told[1]}",
        flush=True,
    )


if __name__ == "__main__":
    main()
