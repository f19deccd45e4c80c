"""A profile in words for people, and in lines for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from sightword.profiling import parts
from sightword.profiling.costs import by_part, shares
from sightword.profiling.hints import hint
from sightword.profiling.profiling import TRACE, Profile
from sightword.training.disk import write_text
from sightword.training.input import shares as stages
from sightword.training.logbook import speed
from sightword.training.records import code_version

RECORDS = "profile.jsonl"
_LARGEST = 3
_SHOWN = 0.005  # share of a step from which a part is shown


def records(profile: Profile) -> Iterator[dict[str, Any]]:
    """One of the run, one of each cost, and one of each of the largest."""
    config = profile.config
    yield {
        "kind": "profile",
        "objective": config.objective,
        "model": config.model.name,
        "code_version": code_version(),
        "torch": torch.__version__,
        "device": profile.device,
        "precision": config.precision,
        "threads": torch.get_num_threads(),
        "workers": profile.workers,
        "batch_size": config.global_batch,
        "chunks": profile.chunks,
        "steps": profile.steps,
        "step_seconds": profile.seconds,
        "profiled_step_seconds": profile.profiled_seconds,
        "samples_per_second": config.global_batch / profile.seconds,
        "data_wait": profile.waited,
        "data_seconds": dict(profile.making),
        "flops_per_step": profile.flops_per_step,
        "tflops_per_second": profile.flops_per_step / profile.seconds / 1e12,
        **profile.effort.fields(),
    }
    share = shares(profile.costs)
    for cost in profile.costs:
        yield {"kind": "cost", **vars(cost), "share": share[cost]}
    for place, cost in enumerate(profile.costs[:_LARGEST], start=1):
        told = {"said": str(cost), "hint": hint(cost, profile)}
        yield {"kind": "largest", "place": place, "seconds": cost.seconds, "share": share[cost], **told}


def write(profile: Profile, out: Path) -> None:
    """`profile.jsonl`, beside the trace."""
    write_text(out / RECORDS, "".join(json.dumps(record) + "\n" for record in records(profile)))


def lines(profile: Profile, out: Path) -> Iterator[str]:
    """What the user reads."""
    run, *rest = records(profile)
    yield (
        f"{run['objective']}, {run['model']}, batch {run['batch_size']}, {run['precision']} on"
        f" {run['device']} ({_threads(run['threads'])})"
    )
    yield f"{_seconds(profile.seconds)} a step, {speed(run)}"
    looked = (
        f"{profile.steps} steps with the profiler looking on took {_seconds(profile.profiled_seconds)} each"
    )
    yield f"\nwhere the time goes ({looked}):"
    yield from _parts(profile)
    yield "\nthe largest costs:"
    for record in (record for record in rest if record["kind"] == "largest"):
        amount = f"{record['share']:.0%} ({_seconds(record['seconds'])} a step)"
        yield f"{record['place']}. {record['said']}: {amount}"
        if record["hint"]:
            yield f"   {record['hint']}"
    making = sum(profile.making.values())
    if making:
        yield f"\nloaders need {_seconds(making)} of a processor a step: {stages(profile.making)}"
    yield f"trace: {out / TRACE} (for chrome://tracing or Perfetto); costs: {out / RECORDS}"


def _parts(profile: Profile) -> Iterator[str]:
    sums = by_part(profile.costs)
    whole = sum(sums.values()) or 1.0
    for (part, phase), seconds in sums.items():
        if seconds >= _SHOWN * whole:
            name = parts.said(part) + (f", {phase}" if phase else "")
            yield f"  {name:<40} {seconds / whole:>4.0%}  {_seconds(seconds)}"


def _threads(count: int) -> str:
    return f"{count} thread" + ("s" if count > 1 else "")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1e3:.1f} ms"
