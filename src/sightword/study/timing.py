"""The pilot: how long runs take on this machine, measured by some real steps of each arm and model.

As many processes train at once as the launcher will run, on the user's own data. Measured speeds are kept in
`pilot.jsonl`, so that asking again costs nothing.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

from sightword.config import Config, to_toml
from sightword.errors import SightwordError
from sightword.objectives import grammar
from sightword.study.arms import Arm
from sightword.study.design import Study
from sightword.study.grid import Cell, flops_of, run_of
from sightword.study.launching.local import Local
from sightword.study.sameness import deciding
from sightword.study.work import Work
from sightword.training.records import code_version, digest, read_records

FILE = "pilot.jsonl"
_FOLDER = "pilot"
_ALL = 60.0  # seconds that all pilots together should measure for
_SHORTEST, _LONGEST = 3.0, 10.0  # seconds of each
_WARM_UP, _LEAST = 3, 5  # steps left out, and those measured, at least
_RECORDED = 5  # every so many steps, which are a little slower for it; runs have fewer such
_ENDLESS = 1_000_000  # steps


@dataclass(frozen=True)
class Speed:
    """What a run of an arm and a model takes, of as many at once as were measured.

    setup_seconds: from the start of its process to its first step, of a part of the middle size.
    sample_seconds: of a sample.
    score_seconds: to score it on all places.
    score_bytes: of disk that its scores and outcomes take.
    feature_bytes: of disk that it takes while it is scored.
    """

    model: str
    arm: str
    setup_seconds: float
    sample_seconds: float
    score_seconds: float
    score_bytes: int
    feature_bytes: int


def measured(study: Study, out: Path, launcher: Local, work: Work) -> dict[tuple[str, Arm], Speed]:
    """The speed of each model and arm, measured or remembered.

    Args:
        study: its grid; the pilots train on parts of its middle size.
        out: the study's directory, which gets `pilot.jsonl`.
        launcher: how many runs go on at once.
        work: what runs are scored on; each model is scored once, with its first arm.

    Raises:
        SightwordError: a pilot failed, with its reason; or a signal asked to stop.
    """
    known = {record["key"]: record for record in read_records(out / FILE)}
    asked = [(model, arm) for model in study.models for arm in study.arms]
    seconds = min(_LONGEST, max(_SHORTEST, _ALL / len(asked)))
    found, scores = dict[tuple[str, Arm], Speed](), dict[str, dict[str, Any]]()
    for model, arm in asked:
        config = _config(study, model, arm, out)
        facts = _facts(config, launcher)
        scored = work if model not in scores else Work((), ())
        key = digest(json.dumps([facts, arm.label, scored.places, scored.tasks, to_toml(deciding(config))]))
        if key not in known:
            taken = Pilot(config, launcher, scored, seconds).measure()
            speed = {"model": model, "arm": arm.label, **taken, **scores.get(model, {})}
            known[key] = _remember(out, key, facts, speed)
        speed = known[key]
        scores.setdefault(model, {name: speed[name] for name in _SCORED})
        found[model, arm] = _late(study, model, arm, Speed(**{name: speed[name] for name in _NAMES}))
    return found


_NAMES = tuple(Speed.__dataclass_fields__)
_BYTES = ("score_bytes", "feature_bytes")
_SCORED = ("score_seconds", *_BYTES)


@dataclass(frozen=True)
class Pilot:
    """Runs of one arm and model, as many at once as the launcher has slots, for some seconds."""

    config: Config
    launcher: Local
    work: Work
    seconds: float

    def measure(self) -> dict[str, Any]:
        """What they took, the mean over all processes.

        Raises:
            SightwordError: one failed.
        """
        folder, slots = Path(self.config.out), self.launcher.at_once(self.config)
        shutil.rmtree(folder, ignore_errors=True)
        configs = [replace(self.config, out=str(folder / str(index))) for index in range(slots)]
        try:
            failures = self.launcher.run(Short(self.work, self.seconds, time.time()), configs)
            if failures:
                raise SightwordError(f"the pilot of '{self.config.objective}' failed: {failures[0].reason}")
            rows = [_read(Path(config.out)) for config in configs]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        means = {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}
        return {name: round(mean) if name in _BYTES else mean for name, mean in means.items()}


@dataclass(frozen=True)
class Short:
    """Work for some seconds: trains, is asked to stop, and is scored.

    begun: when its process was started, seconds since 1970.
    """

    work: Work
    seconds: float
    begun: float

    def __call__(self, config: Config) -> None:
        """Leaves `took.json`."""
        from sightword.training.loop import train

        out = Path(config.out)
        Thread(target=self._stop, args=(out,), daemon=True).start()
        train(config)
        took: dict[str, float] = {
            "begun": self.begun,
            "score_seconds": 0.0,
            "score_bytes": 0,
            "feature_bytes": 0,
        }
        if self.work.places:
            started = time.monotonic()
            before = _bytes(out)
            self.work.score(config)
            took["score_seconds"] = time.monotonic() - started
            took["feature_bytes"] = _bytes(out / "features")
            took["score_bytes"] = _bytes(out) - before - took["feature_bytes"]
        (out / "took.json").write_text(json.dumps(took))

    def _stop(self, out: Path) -> None:
        """Once enough is measured; when training ends before, this goes with its process."""
        while not self._enough(_steps(out)):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _enough(self, steps: Sequence[tuple[int, float]]) -> bool:
        if len(steps) < 2:
            return False
        (first, early), (last, late) = steps[0], steps[-1]
        return last - first >= _LEAST and late - early >= self.seconds


def _config(study: Study, model: str, arm: Arm, out: Path) -> Config:
    """A run of the middle size that counts every term from its first step, and does not save meanwhile."""
    size = study.sizes[(len(study.sizes) - 1) // 2]
    config = run_of(study, Cell(model, size, study.seeds[0], arm, "samples"), out, {})
    terms = [replace(term, start=0.0) for term in grammar.parse(config.objective)]
    return replace(
        config, objective=grammar.canonical(terms), steps=_ENDLESS, log_every=_RECORDED, save_every=0,
        save_minutes=0.0, zeroshot_frequency=0, report_to=(), keep_best="",
        out=str(out / _FOLDER / model / arm.folder),
    )  # fmt: skip


def _late(study: Study, model: str, arm: Arm, speed: Speed) -> Speed:
    """Terms that begin late were measured from the start: less, by the FLOPs of the time without them."""
    terms = [replace(term, start=0.0) for term in grammar.parse(arm.objective)]
    whole = Arm(grammar.canonical(terms), arm.own)
    if whole == arm:
        return speed
    share = flops_of(study, arm, model) / flops_of(study, whole, model)
    return replace(speed, sample_seconds=speed.sample_seconds * share)


def _read(out: Path) -> dict[str, float]:
    took, steps = json.loads((out / "took.json").read_text()), _steps(out)
    (batch,) = {r["batch_size"] for r in read_records(out / "metrics.jsonl") if r["kind"] == "start"}
    (first, early), (last, late) = steps[0], steps[-1]
    each = (late - early) / (last - first)
    setup = max(0.0, early - took["begun"] - first * each)
    return {"setup_seconds": setup, "sample_seconds": each / batch} | {n: took[n] for n in _SCORED}


def _steps(out: Path) -> list[tuple[int, float]]:
    """Steps that were recorded after the warm-up, and when, seconds."""
    records = [record for record in read_records(out / "metrics.jsonl") if record["kind"] == "step"]
    return [(r["step"], float(r["time"])) for r in records if r["step"] >= _WARM_UP]


def _facts(config: Config, launcher: Local) -> dict[str, Any]:
    """The machine, and how runs share it."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() and config.device != "cpu" else ""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "torch": torch.__version__,
        "at_once": launcher.at_once(config),
        "threads": launcher.threads_of(config),
    }


def _processor() -> str:
    """What the system calls it; "" where it does not say."""
    file = Path("/proc/cpuinfo")
    lines: Iterator[str] = iter(file.read_text().splitlines()) if file.is_file() else iter(())
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _remember(out: Path, key: str, facts: dict[str, Any], speed: dict[str, Any]) -> dict[str, Any]:
    about = {"code_version": code_version(), "time": round(time.time(), 3)}
    record = {"kind": "pilot", "key": key, **speed, **facts, **about}
    with (out / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    return record


def _bytes(folder: Path) -> int:
    files: Sequence[Path] = [path for path in folder.rglob("*") if path.is_file()]
    return sum(file.stat().st_size for file in files)
