"""The whole of `sightword demo`, of another checkout and of this one, in turns.

    python bench/demo.py --before CHECKOUT [--rounds 1] [--out FILE]

CHECKOUT is a clone at an earlier commit whose kernels are built (`python setup.py build_ext --inplace`); its
sources are run by this interpreter. Runs keep every core busy, so a round takes minutes on a quiet machine.
Processor seconds (of all processes) bear other work on the machine better than seconds by the clock. The
floor is what the runs' arithmetic would take at the speed of the fastest matrix product measured here.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _machine import versions
from _results import append, demand

from sightword.training.peak import gemm_peak
from sightword.training.records import read_records

OURS = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="another checkout of sightword")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    given = parser.parse_args()
    demand(parser, "--before CHECKOUT", given.before)
    torch.set_num_threads(1)  # as each run has
    peak = gemm_peak(torch.device("cpu"), "bf16")
    sides = {"before": given.before, "now": OURS}
    found = [{side: demo(where, peak) for side, where in sides.items()} for _ in range(given.rounds)]
    rows = [{"side": side, **middle([turn[side] for turn in found])} for side in sides]
    for row in rows:
        print(
            f"{row['side']:<8}{row['seconds']:>8.0f} s  {row['processor_seconds']:>8.0f} s of processors"
            f"  floor {row['floor_seconds']:.0f} s"
        )
    before, now = rows
    for what in ("seconds", "processor_seconds"):
        print(f"{what}: {before[what] / now[what]:.2f} times as fast")
    append(given.out, "demo", rows, rounds=given.rounds, versions=versions(), peak=peak)


def demo(checkout: Path, peak: float) -> dict[str, float]:
    """One demo in a new folder: seconds by the clock, of processors, and of its arithmetic at the peak."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        spent, begun = processors(), time.perf_counter()
        command = [sys.executable, "-m", "sightword", "demo", "--out", str(out)]
        subprocess.run(command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        seconds, spent = time.perf_counter() - begun, processors() - spent
        flops = sum(read_records(file)[-1]["flops"] for file in out.glob("*/metrics.jsonl"))
    floor = flops / peak / len(os.sched_getaffinity(0))
    return {"seconds": seconds, "processor_seconds": spent, "floor_seconds": floor}


def processors() -> float:
    """Seconds that processors have spent on ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def middle(turns: list[dict[str, float]]) -> dict[str, Any]:
    """The median of each figure."""
    return {name: round(statistics.median(turn[name] for turn in turns), 2) for name in turns[0]}


if __name__ == "__main__":
    main()
