"""An optimizer step of ours against SLIP's code and open_clip: `python bench/step.py --slip DIR`.

    PYTHONPATH=PEERS python bench/step.py --slip SLIP [--only TEXT] [--rounds N] [--threads N] [--rows N]
    python bench/step.py --objectives [--model vit-b16] [--only TEXT]

Sides have the same architecture, weights, pictures and captions; they take turns in one process, and medians
and quartiles of each round's ratio are shown. SLIP is a checkout of facebookresearch/SLIP, which needs timm;
a peer that is not there is left out, why is said, and ours is timed alone. Before the clock starts, the
first loss and the length of its gradient must agree in float32, else nothing is timed. Ours is a run as
`sightword train` opens it, and normalises its pictures in the step; peers are given normalised pictures, as
their loaders make them.

Captions are the demo's, joined until they are as long as web captions: 17 of CLIP's tokens on average. All
sides get the same, padded to 77; ours leaves padding out. FLOPs are counted in what each side computes.
With `--objectives` it is what every objective costs beside clip, against what is predicted (see costs.py).
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; for all sides

import torch
from _machine import described
from _memory import settle
from _ours import Ours, opened, take
from _peers import open_clip_model, open_clip_side, slip_model, slip_side, slip_weights
from _results import append
from _sides import AbsentError, Side, agree, in_turns, quartiles, ratio
from _sizes import REHEARSAL, SIZES, Size
from _step_objectives import objective_rows

from sightword.config import Precision
from sightword.training.allocator import keep_memory, unwatched
from sightword.training.peak import gemm_peak
from sightword.training.progress import Bar

PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")
_PEAKS = 20  # times that the peak is measured after each case: a shared host has slow moments
OBJECTIVES = {"CLIP": "clip", "SLIP": "clip + simclr"}


def main() -> None:
    given = parsed()
    warnings.filterwarnings("ignore", "Importing from timm", FutureWarning)
    torch.set_num_threads(given.threads)
    keep_memory()  # as training does; `settle` takes it back where a peer has its turn
    cpu = torch.device("cpu")
    setting = {"rounds": given.rounds, **described(cpu)}
    if given.objectives:
        rows = objective_rows(given.model, given.rows or 16, given.rounds, given.only)
        append(given.out, "step of objectives", rows, model=given.model, **setting)
        return
    rows = [row for case in cases(given) for row in case]
    peaks = {kind: gemm_peak(cpu, kind) / 1e9 for kind in PRECISIONS}
    print(f"GEMM peak: {peaks['bf16']:,.0f} GFLOP/s in bf16, {peaks['fp32']:,.0f} in fp32", flush=True)
    for row in (row for row in rows if row["side"].startswith("ours")):
        row["of_bf16_peak"] = row["gflops_per_second"] / peaks["bf16"]
        print(f"{row['objective']}, {row['size']}, {row['side']}: {row['of_bf16_peak']:.0%} of bf16's peak")
    append(given.out, "step", rows, gemm_gflops=peaks, **setting)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slip", type=Path, help="a checkout of facebookresearch/SLIP")
    parser.add_argument("--only", default="", help="cases whose line contains this, or objectives")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, help="of a batch; else as many as each size has in _sizes.py")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rehearse", action="store_true", help="one more size, which takes seconds")
    parser.add_argument("--objectives", action="store_true", help="what each objective costs, instead")
    parser.add_argument("--model", default="vit-b16", help="of --objectives")
    parser.add_argument("--out", type=Path, help="a line of JSON is appended here")
    return parser.parse_args()


def cases(given: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """The rows of each comparison; what it held is let go before the next."""
    for size in (REHEARSAL,) if given.rehearse else SIZES:
        for name, library in (("CLIP", "SLIP's code"), ("SLIP", "SLIP's code"), ("CLIP", "open_clip")):
            title = f"{name}, {size.name}, against {library}"
            if given.only in title:
                rows = given.rows or size.rows[name == "SLIP"]
                with tempfile.TemporaryDirectory() as folder:
                    yield compared(title, size, name, library, rows, Path(folder), given)
                gc.collect()


def compared(
    title: str, size: Size, name: str, library: str, rows: int, folder: Path, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Rows of ours and of a peer; ours alone where the peer is not there."""
    try:
        if library == "open_clip":
            ours, theirs = with_open_clip(size, rows, folder)
        else:
            ours, theirs = with_slip(size, name, rows, folder, given.slip)
    except AbsentError as error:
        print(f"{title}: left out, {error}", flush=True)
        if library == "open_clip":
            return []
        ours, theirs = opened(folder, OBJECTIVES[name], size.slip, rows), []
    own: list[Side] = [ours.side(precision) for precision in PRECISIONS]
    agreement = agree(own[0], theirs[0]) if theirs else {}
    with Bar(title, given.rounds) as bar, unwatched():  # again as in training, for all
        times = in_turns([*own, *theirs], given.rounds, bar.advance, settle)
    for precision in PRECISIONS * _PEAKS:
        gemm_peak(torch.device("cpu"), precision, again=True)  # the highest of all counts
    about = {
        "objective": name,
        "size": size.name,
        "beside": library,
        "rows": rows,
        "tokens": tokens(ours),
        **agreement,
    }
    found = [about | row for row in rows_of([*own, *theirs], times, len(own))]
    show(title, found)
    return found


def with_slip(size: Size, name: str, rows: int, folder: Path, root: Path | None) -> tuple[Ours, list[Side]]:
    """Ours with the weights of SLIP's model, and that model's steps."""
    model = slip_model(root, size, name)
    ours = opened(folder, OBJECTIVES[name], size.slip, rows)
    take(ours, *slip_weights(model, size))
    return ours, [slip_side(root, model, ours, precision) for precision in ("fp32", "bf16")]


def with_open_clip(size: Size, rows: int, folder: Path) -> tuple[Ours, list[Side]]:
    """Ours with the architecture and weights of open_clip's model, and that model's step."""
    model, weights = open_clip_model(size)
    ours = opened(folder, OBJECTIVES["CLIP"], weights.model, rows)
    take(ours, weights.tensors)
    return ours, [open_clip_side(model, ours)]


def tokens(ours: Ours) -> dict[str, float]:
    """How long this batch's captions are."""
    lengths = ours.words.lengths.float()
    return {"mean": float(lengths.mean()), "longest": float(lengths.max())}


def rows_of(sides: list[Side], times: list[list[float]], own: int) -> Iterator[dict[str, Any]]:
    """Each side's figures, and each of the first `own` sides against each peer."""
    for side, taken in zip(sides, times, strict=True):
        seconds = statistics.median(taken)
        row: dict[str, Any] = {"side": side.name, "seconds": seconds, "quartiles": quartiles(taken)}
        row |= {"samples_per_second": side.rows / seconds, "gflops_per_second": side.flops / seconds / 1e9}
        row |= {"flops": side.flops}
        if side in sides[:own]:
            row["against"] = {
                other.name: ratio(theirs, taken)
                for other, theirs in zip(sides[own:], times[own:], strict=True)
            }
        yield row


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """A line for each side."""
    first = rows[0]
    title = title if "loss_off" in first else title.partition(", against")[0]
    print(f"{title}, {first['rows']} rows of {first['tokens']['mean']:.0f} tokens")
    if "loss_off" in first:
        print(f"  before training: loss {first['loss_off']:.0e}, gradient {first['norm_off']:.0e} apart")
    for row in rows:
        low, high = row["quartiles"]
        told = [
            f"{one['ratio']:.2f}x {other} ({one['quartiles'][0]:.2f}-{one['quartiles'][1]:.2f})"
            for other, one in row.get("against", {}).items()
        ]
        print(
            f"  {row['side']:<22}{row['seconds']:>8.3f} s ({low:.3f}-{high:.3f})"
            f"{row['samples_per_second']:>8.1f}/s{row['gflops_per_second']:>7.0f} GFLOP/s  {', '.join(told)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
