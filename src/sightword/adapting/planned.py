"""What an adaptation takes: measured by some real steps, once, and remembered in `plan.jsonl`."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sightword.adapting.asked import ADAPTED, RUN, Asked
from sightword.adapting.scoring import TASKS
from sightword.adapting.settings import looks
from sightword.config import Config, to_toml
from sightword.planning.sizes import measure
from sightword.study.launching.local import Local
from sightword.study.planned import duration
from sightword.study.sameness import deciding
from sightword.study.timing import Pilot
from sightword.study.work import Work, trained
from sightword.training.records import code_version, digest, read_records

FILE = "plan.jsonl"
_SECONDS = 5.0  # that the pilot measures for
_ENDLESS = 1_000_000  # steps
_TOOK = "setup_seconds", "sample_seconds", "score_seconds", "score_bytes", "feature_bytes"
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
            yield f"left: {duration(self.hours)}, measured here by some steps and one scoring"
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
        places: what mixtures are scored on.
        timed: False measures nothing: whoever started it has agreed to however long it takes.

    Raises:
        SightwordError: some steps could not be trained, or a set cannot be scored; with the reason.
    """
    took = _measured(run, asked, out, places) if timed else dict.fromkeys(_TOOK, 0.0)
    samples, done = steps * run.global_batch, _done(out / RUN)
    training = took["setup_seconds"] + (steps - done) * run.global_batch * took["sample_seconds"]
    scored = len(asked.alphas) + _AGAIN
    watching = (0 if trained(out / RUN) else math.ceil((steps - done) / looks(steps))) * took["score_seconds"]
    finished = (out / ADAPTED / "scores.jsonl").is_file()
    seconds = 0.0 if trained(out / RUN) else training
    seconds += 0.0 if finished else scored * took["score_seconds"] + watching
    sizes = measure(run)
    disk = 4 * sizes.published + (run.keep_last + 1) * sizes.checkpoint
    disk += round(scored * took["score_bytes"] + took["feature_bytes"])
    free = shutil.disk_usage(out).free
    return Planned(steps, samples, len(asked.alphas), seconds / 3600, 0 if finished else disk, free)


def remember(planned: Planned, out: Path) -> None:
    """Add the plan to `plan.jsonl`."""
    _append(out, planned.record())


def _measured(run: Config, asked: Asked, out: Path, places: Sequence[str]) -> dict[str, Any]:
    launcher = Local(1)
    config = replace(
        run, out=str(out / "pilot"), steps=_ENDLESS, epochs=0.0, save_every=0, save_minutes=0.0, keep_best="",
        zeroshot_frequency=0, log_every=1, report_to=(),
    )  # fmt: skip
    facts = [to_toml(deciding(config)), list(places), launcher.threads_of(config), config.device]
    key = digest(json.dumps(facts))
    known = {r["key"]: r for r in read_records(out / FILE) if r["kind"] == "adapt-pilot"}
    if key not in known:
        work = Work(tuple(places), TASKS, asked.data_root)
        took = Pilot(config, launcher, work, _SECONDS).measure()
        _append(out, {"kind": "adapt-pilot", "key": key, **took})
        return took
    return known[key]


def _done(run: Path) -> int:
    steps = [record["step"] for record in read_records(run / "metrics.jsonl") if record["kind"] == "step"]
    return max(steps, default=0)


def _append(out: Path, record: dict[str, Any]) -> None:
    about = {"code_version": code_version(), "time": round(time.time(), 3)}
    with (out / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**record, **about}) + "\n")
