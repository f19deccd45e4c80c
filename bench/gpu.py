"""Training steps on a GPU, against its peak and against peers: `python bench/gpu.py --slip DIR --out FILE`.

    PYTHONPATH=src:PEERS python bench/gpu.py [--only steps|largest|data|starved] [--minutes 8] [--data TARS]

`steps`: CLIP, SLIP and MAE-CLIP with ViT-B/16 in bf16 on a batch that lies on the GPU, with and without
`--compile`, beside open_clip and SLIP's code where they can be imported; `largest`: the largest batch that
fits, by doubling and bisection; `data`: the same objectives trained from files, the demo's or `--data`'s;
`starved`: a run whose loader cannot keep up on purpose, of which the verdict must say so. A part stops to
begin new cases when its minutes are over, and says what it left out. `--rehearse` goes through all of it on
any machine with models that are tiny.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from _gpu_data import starved, trained
from _gpu_memory import largest, memory_of
from _machine import described
from _ours import Ours, opened, take
from _peers import open_clip_model, open_clip_side, slip_model, slip_side, slip_weights
from _results import append
from _sides import AbsentError, Side, agree, in_turns, quartiles, ratio
from _sizes import REHEARSAL, SIZES, Size

from sightword.errors import SightwordError
from sightword.training.peak import gemm_peak

OBJECTIVES = {"CLIP": "clip", "SLIP": "clip + simclr", "MAE-CLIP": "mae-clip"}
ROWS = {"CLIP": 256, "SLIP": 96, "MAE-CLIP": 256}
NOMINAL = 989e12  # dense bf16 FLOP/s of an H100 SXM by NVIDIA's data sheet
Rows = list[dict[str, Any]]


def main() -> None:
    given, alone = parsed()
    if not (torch.cuda.is_available() or given.rehearse):
        print("left out: it needs a CUDA GPU; --rehearse goes through it with tiny models on any machine")
        sys.exit(0 if alone else 2)
    warnings.filterwarnings("ignore", "Importing from timm", FutureWarning)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "steps": lambda: steps(given, device),
        "largest": lambda: sizes(given, device),
        "data": lambda: from_files(given, device),
        "starved": lambda: iter([starved(device, given.rehearse)]),
    }
    for name, part in parts.items():
        if given.only in ("", name):
            rows = taken(name, part(), given.minutes)
            peak = gemm_peak(device, "bf16", again=True)
            about = {"rehearsal": given.rehearse, "gemm_tflops": peak / 1e12, **described(device)}
            append(given.out, f"gpu {name}", [row | shares(row, peak) for row in rows], **about)


def parsed() -> tuple[argparse.Namespace, bool]:
    """What was given, and whether that is nothing but `--out`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slip", type=Path, help="a checkout of facebookresearch/SLIP")
    parser.add_argument("--data", help="pairs for the part `data`, as `sightword train --data` takes them")
    parser.add_argument("--only", default="", choices=["", "steps", "largest", "data", "starved"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=8.0, help="of each part")
    parser.add_argument("--no-compile", action="store_true", help="nothing is compiled")
    parser.add_argument("--rehearse", action="store_true", help="tiny models, on any machine")
    parser.add_argument("--out", type=Path, help="lines of JSON are appended here")
    given = parser.parse_args()
    return given, {**vars(given), "out": None} == vars(parser.parse_args([]))


def taken(part: str, rows: Iterator[dict[str, Any]], minutes: float) -> Rows:
    """The rows that a part makes in its time."""
    end, found = time.monotonic() + 60 * minutes, []
    while time.monotonic() < end:
        row = next(rows, None)
        if row is None:
            return found
        found.append(row)
        print(f"{part}: {told(row)}", flush=True)
    print(f"{part}: its {minutes:g} minutes are over; what was left is left out", flush=True)
    return found


def told(row: dict[str, Any]) -> str:
    """A row in one line."""
    return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())


def shares(row: dict[str, Any], peak: float) -> dict[str, float]:
    """Of the peak that was measured, and of that on the data sheet."""
    reached = row.get("flops_per_second")
    return {} if reached is None else {"mfu": reached / peak, "mfu_nominal": reached / NOMINAL}


def steps(given: argparse.Namespace, device: torch.device) -> Iterator[dict[str, Any]]:
    """Every side's step, one objective after the other."""
    size = REHEARSAL if given.rehearse else SIZES[-1]
    for name in OBJECTIVES:
        for compile in (False,) if given.no_compile else (False, True):
            with tempfile.TemporaryDirectory() as folder:
                yield from compared(name, size, compile, given, device, Path(folder))
            gc.collect()
            torch.cuda.empty_cache()


def compared(
    name: str, size: Size, compile: bool, given: argparse.Namespace, device: torch.device, folder: Path
) -> Iterator[dict[str, Any]]:
    """Ours and the peers that have this objective, in turns; each against weights of its own."""
    rows = 8 if given.rehearse else ROWS[name]
    pairs: list[Callable[[], tuple[Ours, list[Side]]]] = []
    if name == "CLIP":
        pairs.append(lambda: with_open_clip(size, rows, compile, device, folder))
    if name in ("CLIP", "SLIP"):
        pairs.append(lambda: with_slip(name, size, rows, compile, device, folder, given.slip))
    for pair in pairs:
        try:
            ours, theirs = pair()
        except AbsentError as error:
            print(f"steps: {name}, left out, {error}", flush=True)
            continue
        yield from timed_rows(name, ours, theirs, given.rounds, compile)
        del ours, theirs
        gc.collect()
    if name == "MAE-CLIP":
        ours = opened(folder, OBJECTIVES[name], size.slip, rows, str(device), compile)
        yield from timed_rows(name, ours, [], given.rounds, compile)


def with_open_clip(
    size: Size, rows: int, compile: bool, device: torch.device, folder: Path
) -> tuple[Ours, list[Side]]:
    """The same architecture and weights on both sides; both compiled, or neither."""
    model, weights = open_clip_model(size)
    ours = opened(folder, OBJECTIVES["CLIP"], weights.model, rows, str(device), compile)
    take(ours, weights.tensors)
    return ours, [open_clip_side(model, ours, compile)]


def with_slip(
    name: str, size: Size, rows: int, compile: bool, device: torch.device, folder: Path, root: Path | None
) -> tuple[Ours, list[Side]]:
    """SLIP's code, which is never compiled, under bf16's autocast."""
    model = slip_model(root, size, name)
    ours = opened(folder, OBJECTIVES[name], size.slip, rows, str(device), compile)
    take(ours, *slip_weights(model, size))
    return ours, [slip_side(root, model, ours, "bf16")]


def timed_rows(
    name: str, ours: Ours, theirs: list[Side], rounds: int, compile: bool
) -> Iterator[dict[str, Any]]:
    """A row for each side, ours first; peers must compute the same before they are timed."""
    sides = [ours.side("bf16"), *theirs]
    off = [agree(sides[0], other) for other in theirs]
    memory = [memory_of(side.step, ours.session.device) for side in sides]
    times = in_turns(sides, rounds)
    for side, spent, taken_ in zip(sides, memory, times, strict=True):
        seconds = statistics.median(taken_)
        row: dict[str, Any] = {"objective": name, "side": side.name, "compiled": compile, "rows": side.rows}
        row |= {"beside": theirs[0].name if theirs else ""}
        row |= {"seconds": seconds, "quartiles": list(quartiles(taken_)), "memory_mib": spent}
        row |= {"samples_per_second": side.rows / seconds, "flops_per_second": side.flops / seconds}
        if side is not sides[0]:
            row |= {"ours_is_faster": ratio(taken_, times[0]), **off[sides.index(side) - 1]}
        yield row


def sizes(given: argparse.Namespace, device: torch.device) -> Iterator[dict[str, Any]]:
    """The largest batch of each objective, with activations kept and recomputed."""
    size = REHEARSAL if given.rehearse else SIZES[-1]
    for name, objective in OBJECTIVES.items():
        with tempfile.TemporaryDirectory() as folder:
            ours = opened(Path(folder), objective, size.slip, 8, str(device))
            yield {"objective": name, **largest(ours, 32 if given.rehearse else 0)}
            del ours
        gc.collect()
        torch.cuda.empty_cache()


def from_files(given: argparse.Namespace, device: torch.device) -> Iterator[dict[str, Any]]:
    """Runs as `sightword train` makes them, with as many workers as training needs."""
    size = REHEARSAL if given.rehearse else SIZES[-1]
    for name, objective in OBJECTIVES.items():
        rows = 8 if given.rehearse else ROWS[name]
        try:
            found = trained(objective, size.slip, rows, given.data or "demo", device, given.rehearse)
        except SightwordError as error:
            found = {"left_out": str(error)}
        yield {"objective": name, "rows": rows, "data": "demo" if given.data is None else "--data", **found}


if __name__ == "__main__":
    main()
