"""What an adaptation takes: measured by some real steps, once, and remembered in `plan.jsonl`.

The pilot must not cost what it warns of. Where a processor computes, its batches are small enough that a
step of a large model takes seconds, not minutes; it scores the validation pairs alone, and what the reference
takes is told by its number of pictures.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sightword.adapting.asked import ADAPTED, RUN, Asked
from sightword.adapting.scoring import TASKS
from sightword.adapting.settings import looks
from sightword.config import Config, to_toml
from sightword.evaluation.benchmarks import open_benchmark
from sightword.planning.sizes import measure
from sightword.study.launching.local import Local
from sightword.study.planned import duration
from sightword.study.sameness import deciding
from sightword.study.timing import Pilot
from sightword.study.work import Work, trained
from sightword.training.counting import sample_flops
from sightword.training.records import code_version, digest, read_records
from sightword.training.setup import choose_device

FILE = "plan.jsonl"
_SECONDS = 3.0  # that the pilot measures for
_STEP_FLOPS = 2e11  # of a step of the pilot on a processor: a few seconds on a slow one
_ENDLESS = 1_000_000  # steps
_SCORED = "score_seconds", "score_bytes", "feature_bytes"
_TOOK = "setup_seconds", "sample_seconds", "look_seconds", *_SCORED
_LEAST_BATCH = 8  # in which pictures can be told apart
_AGAIN = 4  # models that are scored besides the mixtures: before and after, on test and reference


@dataclass(frozen=True)
class Planned:
    """What is left to do.

    steps, samples: of training, those done included.
    hours, disk: what is left, and bytes that will be written; `free` are there.
    """

    steps: int
    samples: int
    alphas: int
    hours: float
    disk: int
    free: int

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"training: {self.steps:,} steps, {self.samples:,} samples; then {self.alphas} mixtures scored"
        if self.hours:
            yield f"left: {duration(self.hours)}, by some steps and one look at the validation pairs here"
        yield f"disk: {self.disk / 1e9:,.2f} GB more at most, {self.free / 1e9:,.1f} GB are free"

    def record(self) -> dict[str, Any]:
        """A line of `plan.jsonl`; see docs/records.md."""
        return {"kind": "adapt-plan", **asdict(self)}


def plan(
    asked: Asked, run: Config, steps: int, out: Path, places: Sequence[str], timed: bool = True
) -> Planned:
    """Measure what is not known yet, and add up.

    Args:
        asked: the adaptation.
        run: as it will be trained.
        steps: of the whole run.
        out: the adaptation's directory.
        places: what mixtures are scored on, the validation pairs first.
        timed: False measures nothing: whoever started it has agreed to however long it takes.

    Raises:
        SightwordError: some steps could not be trained, or a set cannot be scored; with the reason.
    """
    took = _measured(run, asked, out, places) if timed else dict[str, float].fromkeys(_TOOK, 0.0)
    scored = len(asked.alphas) + _AGAIN
    finished = (out / ADAPTED / "scores.jsonl").is_file()
    seconds = _training(run, steps, out / RUN, took)
    seconds += 0.0 if finished else scored * took["score_seconds"]
    sizes = measure(run)
    disk = 4 * sizes.published + (run.keep_last + 1) * sizes.checkpoint
    disk += round(scored * took["score_bytes"] + took["feature_bytes"])
    return Planned(
        steps, steps * run.global_batch, len(asked.alphas), seconds / 3600, 0 if finished else disk,
        shutil.disk_usage(out).free,
    )  # fmt: skip


def remember(planned: Planned, out: Path) -> None:
    """Add the plan to `plan.jsonl`."""
    _append(out, planned.record())


def _training(run: Config, steps: int, folder: Path, took: Mapping[str, Any]) -> float:
    """Seconds that training will still take, its looks at the validation pairs included."""
    if trained(folder):
        return 0.0
    left = steps - _done(folder)
    seconds = took["setup_seconds"] + left * run.global_batch * took["sample_seconds"]
    return seconds + math.ceil(left / looks(steps)) * took["look_seconds"]


def _measured(run: Config, asked: Asked, out: Path, places: Sequence[str]) -> dict[str, Any]:
    launcher = Local(1, torch.get_num_threads())  # as the run will compute
    config = _pilot(run, out)
    facts = [to_toml(deciding(config)), list(places), launcher.threads_of(config), config.device]
    key = digest(json.dumps(facts))
    known = {r["key"]: r for r in read_records(out / FILE) if r["kind"] == "adapt-pilot"}
    if key not in known:
        own = tuple(places[:1])
        took = Pilot(config, launcher, Work(own, TASKS, asked.data_root), _SECONDS).measure()
        took["look_seconds"], more = took["score_seconds"], _pictures(places) / _pictures(own)
        known[key] = took | {name: more * took[name] for name in _SCORED}
        _append(out, {"kind": "adapt-pilot", "key": key, "batch_size": config.batch_size, **known[key]})
    return known[key]


def _pilot(run: Config, out: Path) -> Config:
    """The run without an end, without looks and, on a processor, in smaller batches."""
    batch = run.batch_size
    if choose_device(run.device).type == "cpu":
        batch = min(batch, max(_LEAST_BATCH, int(_STEP_FLOPS / sample_flops(run))))
    chunks = run.accum_freq if batch == run.batch_size else 1
    return replace(
        run, out=str(out / "pilot"), steps=_ENDLESS, epochs=0.0, save_every=0, save_minutes=0.0, keep_best="",
        zeroshot_frequency=0, log_every=1, report_to=(), batch_size=batch,
        accum_freq=chunks,
    )  # fmt: skip


def _pictures(places: Sequence[str]) -> int:
    return sum(len(test) for place in places for test in open_benchmark(place).tests)


def _done(run: Path) -> int:
    steps = [record["step"] for record in read_records(run / "metrics.jsonl") if record["kind"] == "step"]
    return max(steps, default=0)


def _append(out: Path, record: dict[str, Any]) -> None:
    about = {"code_version": code_version(), "time": round(time.time(), 3)}
    with (out / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**record, **about}) + "\n")
