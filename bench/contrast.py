"""Large batches, logits in pieces against logits that are kept: `python bench/contrast.py [--out FILE]`.

Forward and backward of InfoNCE and NT-Xent in one process. Memory: a process for each case, and how far its
resident memory rises above what it was when the features were there. Time: both ways take turns in one
process, medians and range; from 32,768 rows on there is one round, in the processes that measure memory.
Seconds are the clock's and, `cpu_seconds`, those that processors worked: with `--threads 1` the latter can be
compared on a busy machine too.
What would not fit into the memory that is free is left out, and said so; should memory run out all the same,
the kernel takes the measured process first.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _results import append
from torch import Tensor

from sightword.losses import contrast

SIZES = (2_048, 4_096, 8_192, 16_384, 32_768)
WIDTH = 512
WAYS = {"pieces": 0, "kept": sys.maxsize}  # the rows from which logits are made in pieces
LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], contrast.Scored]] = {
    "info_nce": contrast.scored_info_nce,
    "nt_xent": lambda a, b, scale: contrast.scored_nt_xent(a, b, 0.1),
}
SPARE = 2 << 30  # bytes that are left to others


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows")
    parser.add_argument("--rounds", type=int, default=5, help="of up to 8,192 rows; fewer of more")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.measure:
        loss, n, rounds, *ways = given.measure
        print(json.dumps(measure(loss, int(n), int(rounds), ways[0].split(","))))
        return
    rows = table(sorted(given.sizes), given.rounds, given.threads)
    setting = {"width": WIDTH, "rounds": given.rounds, "threads": given.threads, "torch": torch.__version__}
    append(given.out, "contrast", rows, **setting)


def table(sizes: list[int], rounds: int, threads: int) -> list[dict[str, Any]]:
    """A row for each loss and size, shown as soon as it is measured."""
    print(f"{'loss':<10}{'rows':>7}{'':8}{'MB':>8}{'s':>9}{'cpu s':>9}   range of s")
    rows = []
    for loss in LOSSES:
        kept: dict[int, int] = {}
        for n in sizes:
            turns = max(1, min(rounds, rounds * 8_192 // n)) if n < SIZES[-1] else 1
            reason = too_much(n, kept)
            found = None if reason else compared(loss, n, list(WAYS), turns, threads)
            if found is None:
                reason = reason or "memory ran out with kept logits"
                found = compared(loss, n, ["pieces"], turns, threads) or {}
            row = {"loss": loss, "rows": n, "left_out": reason, **found}
            if "kept" in row:
                kept[n] = row["kept"]["bytes"]
            show(row)
            rows.append(row)
    return rows


def too_much(n: int, kept: dict[int, int]) -> str | None:
    """Why the logits cannot be kept here; from what fewer rows took, which grows with their square."""
    available = memory("/proc/meminfo", "MemAvailable")
    if not kept:
        return None
    most = max(kept)
    expected = kept[most] * (n / most) ** 2
    if expected + SPARE <= available:
        return None
    return f"kept logits need about {expected / 1e9:.0f} GB, of which {available / 1e9:.0f} are free"


def compared(loss: str, n: int, ways: list[str], rounds: int, threads: int) -> dict[str, Any] | None:
    """Of each way the bytes and seconds; None when memory ran out."""
    found: dict[str, Any] = {}
    for way in ways:
        found |= apart(loss, n, 1, way, threads)
    if rounds > 1:
        timed = apart(loss, n, rounds, ",".join(ways), threads)
        for way in set(found) & set(timed):
            found[way]["times"] = timed[way]["times"]
    if set(found) != set(ways):
        return None
    for one in found.values():
        times, worked = zip(*one.pop("times"), strict=True)
        one |= {"seconds": statistics.median(times), "least": min(times), "most": max(times)}
        one["cpu_seconds"] = statistics.median(worked)
        one["rounds"] = len(times)
    if "kept" in found:
        for name in ("bytes", "seconds", "cpu_seconds"):
            found[f"{name}_ratio"] = found["kept"][name] / found["pieces"][name]
    return found


def apart(loss: str, n: int, rounds: int, ways: str, threads: int) -> dict[str, Any]:
    """What a process of its own measures; nothing when it was killed, which is what the kernel does."""
    case = ["--threads", str(threads), "--measure", loss, str(n), str(rounds), ways]
    done = subprocess.run([sys.executable, __file__, *case], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode == -signal.SIGKILL:
        return {}
    done.check_returncode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(loss: str, n: int, rounds: int, ways: list[str]) -> dict[str, Any]:
    """In this process: seconds of each way, and the bytes that they took beyond the features, together."""
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for way in ways:  # libraries load, threads start
        once(loss, way, *features(512))
    given = features(n)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest begins anew
    before = memory("/proc/self/status", "VmRSS")
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            times[way].append(once(loss, way, *given))
    taken = memory("/proc/self/status", "VmHWM") - before
    return {way: {"times": times[way], "bytes": taken} for way in ways}


def features(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs that resemble each other as half-trained ones do, and CLIP's first scale."""
    generator = torch.Generator().manual_seed(n)
    one = torch.randn(n, WIDTH, generator=generator)
    other = one + torch.randn(n, WIDTH, generator=generator) * 2
    one, other = (F.normalize(x, dim=1).requires_grad_() for x in (one, other))
    return one, other, torch.tensor([1 / 0.07], requires_grad=True)


def once(loss: str, way: str, a: Tensor, b: Tensor, scale: Tensor) -> tuple[float, float]:
    """Seconds and processors' seconds of one forward and backward, shares of right answers included."""
    contrast.LARGE = WAYS[way]
    start, worked = time.perf_counter(), time.process_time()
    LOSSES[loss](a, b, scale).loss.backward()
    taken = time.perf_counter() - start, time.process_time() - worked
    for x in (a, b, scale):
        x.grad = None
    return taken


def memory(file: str, field: str) -> int:
    """Bytes, as the kernel tells them."""
    lines = Path(file).read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) * 1024


def show(row: dict[str, Any]) -> None:
    """A line for each way, and how the two compare or why one is missing."""
    for way in (way for way in WAYS if way in row):
        one = row[way]
        spread = f"{one['least']:.2f} to {one['most']:.2f} in {one['rounds']}"
        case = f"{row['loss']:<10}{row['rows']:>7,} {way:<7}"
        print(f"{case}{one['bytes'] / 1e6:>8,.0f}{one['seconds']:>9.3f}{one['cpu_seconds']:>9.3f}   {spread}")
    if row["left_out"]:
        print(f"{'':18}{row['left_out']}", flush=True)
    else:
        ratios = f"{row['bytes_ratio']:.1f} times less memory, {row['seconds_ratio']:.2f} times as fast"
        print(f"{'':18}{ratios} ({row['cpu_seconds_ratio']:.2f} of cpu seconds)", flush=True)


if __name__ == "__main__":
    main()
