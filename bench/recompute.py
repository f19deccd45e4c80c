"""Memory of activations: `python bench/recompute.py [--model vit-b16] [--rows 4 12] [--out FILE]`.

A training step of CLIP and of SLIP, forward and backward, with and without `--grad-checkpointing`, in a
process of its own each: its highest memory with few rows and with more, gradients of an earlier step
included. What a row takes is the slope, so weights and libraries do not count; freed memory goes back to
the system at once (`MALLOC_MMAP_THRESHOLD_`), so holes in the heap do not count either. Captions are 77
tokens long; seconds are those of the larger batch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from _results import append

from sightword.config import Config
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.recipes import models
from sightword.training.caching import forward_backward
from sightword.training.pretrainer import Pretrainer
from sightword.training.progress import Bar
from sightword.training.setup import build_pretrainer
from sightword.training.together.engine import Engine
from sightword.words import Batch, Words

OBJECTIVES = {"clip": "clip", "slip": "clip + simclr"}
CONTEXT = 77


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="vit-b16")
    parser.add_argument("--rows", type=int, nargs=2, default=(4, 12))
    parser.add_argument("--rounds", type=int, default=3, help="steps after the first: 1 or more")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.measure:
        name, again, rows = given.measure
        print(json.dumps(measure(given.model, OBJECTIVES[name], again == "True", int(rows), given.rounds)))
        return
    rows = compared(sys.argv[1:], given.rows)
    print(f"{'':<6}{'':<12}{'MB a row':>10}{'peak MB':>10}{'s/step':>9}")
    for row in rows:
        way = "recomputed" if row["recomputed"] else "kept"
        print(
            f"{row['objective']:<6}{way:<12}{row['bytes'] / 1e6:>10.1f}"
            f"{row['peak'] / 1e6:>10.0f}{row['seconds']:>9.2f}"
        )
    setting = {"model": given.model, "batches": given.rows, "threads": given.threads, "rounds": given.rounds}
    append(given.out, "recompute", rows, **setting)


def compared(arguments: list[str], sizes: tuple[int, int]) -> list[dict[str, Any]]:
    """Each objective both ways: bytes that one more row takes, the peak and the time of the larger batch."""
    rows, exact = [], {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    cases = list(product(OBJECTIVES, (False, True)))
    with Bar("steps in processes of their own", 2 * len(cases)) as bar:
        for name, again in cases:
            found = []
            for size in sizes:
                case = [sys.executable, __file__, *arguments, "--measure", name, str(again), str(size)]
                done = subprocess.run(case, env=exact, check=True, stdout=subprocess.PIPE, text=True)
                found.append(json.loads(done.stdout))
                bar.advance()
            few, more = found
            slope = (more["peak"] - few["peak"]) / (sizes[1] - sizes[0])
            rows.append({"objective": name, "recomputed": again, "bytes": slope, **more})
    return rows


def measure(model: str, objective: str, again: bool, rows: int, rounds: int) -> dict[str, float]:
    """In this process: its highest memory in bytes, and the median seconds of a step."""
    config = Config(objective=objective, model=models.names()[model](), grad_checkpointing=again)
    trained = build_pretrainer(config, ClipTokenizer(CONTEXT))
    given = batch(trained, rows)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    times = []
    for _ in range(1 + rounds):
        start = time.perf_counter()
        forward_backward(Engine(trained), given, 0.0, 1, autocast)
        times.append(time.perf_counter() - start)
    return {"peak": highest(), "seconds": statistics.median(times[1:])}


def batch(model: Pretrainer, rows: int) -> Batch:
    """Pictures of noise and captions of full length."""
    generator = torch.Generator().manual_seed(rows)
    plan = model.plan(0.0)
    views = {
        v: torch.randint(0, 256, (rows, 3, v.size, v.size), generator=generator, dtype=torch.uint8)
        for v in plan.views()
    }
    words = Words(torch.randint(1, 1000, (rows, CONTEXT), generator=generator), torch.full((rows,), CONTEXT))
    keys = tuple(map(str, range(rows)))
    return Batch(0, keys, torch.arange(rows), 0, views, dict.fromkeys(plan.captions, words))


def highest() -> int:
    """The most memory that this process has had, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
