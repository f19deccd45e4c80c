"""Opening a large corpus and finding a step's batch: `python bench/order.py [--shards 140000] [--out FILE]`.

Makes a folder of empty files as large as shards are, with the index that `sightword data index` would write
beside them. A fresh process imports what it needs, opens the folder as `--data` does and finds the batches of
random steps of several epochs, for several windows and for mixtures. Peak memory is told with and without
what the imports alone take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH = 32_768
BYTES = 300_000_000  # of a shard
WINDOWS = (1, 8, 64)
MIXTURES = {"1::2": 2, "1::0.5::4": 3}  # factors, and into how many parts the corpus is cut
STEPS = 16
EPOCHS = 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=140_000)
    parser.add_argument("--samples", type=int, default=10_000, help="in each shard")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    parser.add_argument("--measure", metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        size = make(Path(folder), given.shards, given.samples)
        print(
            f"made {given.shards:,} shards in {time.perf_counter() - start:.1f} s, index {size / 1e6:.1f} MB"
        )
        rounds = [fresh(folder) for _ in range(given.rounds + 1)][1:]
    from _results import append  # takes torch along, which the measured processes do without

    rows = [medians(rounds)]
    show(rows[0])
    append(
        given.out, "order", rows, shards=given.shards, samples=given.samples, batch=BATCH, rounds=given.rounds
    )


def make(folder: Path, shards: int, samples: int) -> int:
    """The folder of a corpus; the bytes of its index."""
    from sightword.pairs.tars.contents import CORPUS, IndexReport, ShardFacts
    from sightword.pairs.tars.corpus_index import CorpusIndex, Described

    described = []
    for number in range(shards):
        name, size = f"{number:06d}.tar", BYTES + 512 * (number % 1000)
        with (folder / name).open("wb") as file:
            file.truncate(size)  # takes no room on the disk
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        # Uneven, as real shards are, where some pictures could not be fetched; the sum is what was asked for.
        count = samples + (number % 2 * 2 - 1) * (number // 2 % 100) * (number < shards // 2 * 2)
        report = IndexReport(samples=count)
        described.append(Described(name, size, ShardFacts(report, 0, digest, digest, (("train", count, 0),))))
    return (folder / CORPUS).write_bytes(CorpusIndex.of(described).packed())


def fresh(folder: str) -> dict[str, Any]:
    """What a new process measures."""
    command = [sys.executable, __file__, "--measure", folder]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured: dict[str, Any] = json.loads(answer)
    return measured


def measure(folder: str) -> dict[str, Any]:
    """Open the folder and find batches; seconds and megabytes."""
    begun = time.perf_counter()
    from sightword.pairs.mixture import make_order
    from sightword.pairs.sources import open_pairs

    imported, bare = time.perf_counter(), megabytes()
    pairs = open_pairs(folder)
    opened = time.perf_counter()
    order = make_order(pairs.counts, pairs.parts, (), 0, 8)
    step = 7 * order.steps_per_epoch(BATCH) + order.steps_per_epoch(BATCH) // 3
    _, ids = order.batch(step, BATCH)
    found, peak = time.perf_counter(), megabytes()
    assert len(set(ids.tolist())) == BATCH
    return {
        "pairs": len(pairs),
        "notes": pairs.notes,
        "imports_seconds": imported - begun,
        "open_seconds": opened - imported,
        "first_batch_seconds": found - opened,
        "seconds": found - begun,
        "cpu_seconds": time.process_time(),
        "imports_mb": bare,
        "peak_mb": peak,
        "above_imports_mb": peak - bare,
        "batches": batches(pairs.counts),
        "peak_with_all_orders_mb": megabytes(),
    }


def batches(counts: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Milliseconds of a batch: of an epoch that is arranged for it, and of the same epoch again."""
    from sightword.pairs.mixture import make_order

    orders = {f"window {window}": make_order(counts, (len(counts),), (), 0, window) for window in WINDOWS}
    for factors, parts in MIXTURES.items():
        cut = [len(counts) // parts] * (parts - 1)
        cut.append(len(counts) - sum(cut))
        orders[f"mixture {factors}"] = make_order(counts, cut, [float(f) for f in factors.split("::")], 0, 8)
    found = {}
    for name, order in orders.items():
        per_epoch = order.steps_per_epoch(BATCH)
        steps = [per_epoch * (i % EPOCHS) + per_epoch * i // STEPS for i in range(STEPS)]
        first = [milliseconds(lambda order=order, step=step: order.batch(step, BATCH)) for step in steps]
        last = steps[-1]
        again = [milliseconds(lambda order=order, step=last: order.batch(step, BATCH)) for _ in steps]
        begun = time.perf_counter()
        order.digest(BATCH)
        digest = (time.perf_counter() - begun) * 1e3
        far = milliseconds(lambda order=order: order.batch(10**9, BATCH))
        found[name] = {
            "new_epoch_ms": statistics.median(first), "same_epoch_ms": statistics.median(again),
            "step_1e9_ms": far, "digest_ms": digest,
        }  # fmt: skip
    return found


def milliseconds(call: Any) -> float:
    """What a call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def megabytes() -> float:
    """The most that this program has held in memory so far.

    Linux counts it from the program's start; `ru_maxrss` would begin with what its parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """One record of many: the median of every number."""
    first = rounds[0]
    if isinstance(first, dict):
        return {name: medians([one[name] for one in rounds]) for name in first}
    return statistics.median(rounds) if isinstance(first, int | float) else first


def show(row: dict[str, Any]) -> None:
    """The record, for people."""
    print(f"{row['pairs']:,} pairs; median of fresh processes, {len(os.sched_getaffinity(0))} cores")
    for name in ("imports_seconds", "open_seconds", "first_batch_seconds", "seconds", "cpu_seconds"):
        print(f"{name:<28}{row[name]:>9.3f}")
    for name in ("imports_mb", "above_imports_mb", "peak_mb", "peak_with_all_orders_mb"):
        print(f"{name:<28}{row[name]:>9.1f}")
    for name, times in row["batches"].items():
        print(f"{name:<20}" + "".join(f"{what} {value:<9.2f}" for what, value in times.items()))


if __name__ == "__main__":
    main()
