"""What runs wrote down, read back: configuration, steps and scores. Never a text log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from sightword import config as configuration
from sightword.config import Config
from sightword.errors import SightwordError
from sightword.objectives.grammar import canonical, parse

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """What was measured: two runs are compared where their measures are equal."""

    dataset: str
    split: str
    task: str
    metric: str

    @property
    def is_main(self) -> bool:
        """Whether it is shown at a glance; other ranks and means per class stand in the full table."""
        zero_shot = self.task == "zeroshot" and self.metric == "acc5"
        return zero_shot or self.metric == "acc1" or self.metric.endswith("recall@1")


@dataclass(frozen=True)
class Score:
    """One line of scores.jsonl; `value`, `low` and `high` are fractions (a 95 % interval)."""

    measure: Measure
    value: float
    low: float
    high: float
    n: int
    step: int
    samples: int
    flops: float
    record: Record


@dataclass(frozen=True)
class Run:
    """A run directory. `label` tells it apart from the others on the page."""

    path: Path
    label: str
    config: Config | None
    start: Record
    steps: tuple[Record, ...]
    end: Record | None
    scores: tuple[Score, ...]
    watched: tuple[Score, ...] = ()  # taken during training, for curves only
    warnings: tuple[Record, ...] = ()  # what training told to be wrong

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def objective(self) -> str:
        return self.config.objective if self.config else str(self.start.get("objective", "unknown"))

    @property
    def terms(self) -> int:
        """How many objectives are summed."""
        return self.objective.count("+") + 1

    @property
    def samples(self) -> int:
        """Pictures seen in training, counted once an epoch each."""
        return int(self._reached().get("samples", 0))

    @property
    def flops(self) -> float:
        return float(self._reached().get("flops", 0.0))

    @property
    def minutes(self) -> float | None:
        """Of training: the seconds of all steps, whatever lay between a kill and a resume."""
        steps = [0, *(int(step["step"]) for step in self.steps)]
        spent = sum(
            record["step_seconds"] * (step - before)
            for record, before, step in zip(self.steps, steps[:-1], steps[1:], strict=True)
            if "step_seconds" in record
        )
        return spent / 60 if spent else None

    @property
    def mfu(self) -> float | None:
        """The median step's, of the highest peak that the run has measured; None before it was recorded."""
        rates = [step["tflops_per_second"] for step in self.steps if "gemm_peak_tflops" in step]
        peaks = [step["gemm_peak_tflops"] for step in self.steps if "gemm_peak_tflops" in step]
        return median(rates) / max(peaks) if rates else None

    @property
    def step(self) -> int:
        """Steps of training that were recorded."""
        return int(self._reached().get("step", 0))

    @property
    def is_behind(self) -> bool:
        """Whether some score is of earlier weights than the run now has."""
        return any(score.step < self.step for score in self.final.values())

    @property
    def parameters(self) -> int:
        """Of everything trained; 0 where nobody wrote it down."""
        return int(self.start.get("parameters") or 0)

    @property
    def final(self) -> Mapping[Measure, Score]:
        """For each measure the score of the latest weights, in the order in which they were written."""
        latest: dict[Measure, Score] = {}
        for score in self.scores:
            if score.measure not in latest or score.step >= latest[score.measure].step:
                latest[score.measure] = score
        return latest

    def _reached(self) -> Record:
        return self.end or (self.steps[-1] if self.steps else {})


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs in these directories, each with a label of its own.

    Raises:
        SightwordError: no directory was given, or one holds no records, or a record is damaged.
    """
    if not paths:
        raise SightwordError("no run to report on; give one or more run directories, e.g. runs/demo/*")
    runs = [_read_run(Path(path)) for path in dict.fromkeys(paths)]
    return [replace(run, label=label) for run, label in zip(runs, _labels(runs), strict=True)]


def _labels(runs: Sequence[Run]) -> list[str]:
    """Each run's objective, without options where that tells it apart; else its directory, else its path."""
    for label in (_brief, lambda run: run.objective, lambda run: str(run.path)):
        shared = Counter(label(run) for run in runs)
        labels = [label(run) if shared[label(run)] == 1 else run.name for run in runs]
        if len(set(labels)) == len(labels):
            return labels
    return [str(run.path) for run in runs]


def _brief(run: Run) -> str:
    """`clip + simclr` of `clip + 1.0 * simclr(hidden=512)`."""
    return canonical([replace(term, options=()) for term in parse(run.objective)])


def _read_run(path: Path) -> Run:
    files = [path / "config.toml", path / "metrics.jsonl", path / "scores.jsonl"]
    if not any(file.is_file() for file in files):
        found = "is not there" if not path.is_dir() else "holds no config.toml, metrics.jsonl or scores.jsonl"
        raise SightwordError(f"'{path}' {found}; give the directory of a run (what --out was in training)")
    events = _read_lines(files[1])
    steps = {int(event["step"]): event for event in events if event.get("kind") == "step"}
    return Run(
        path=path,
        label="",
        config=configuration.load(path) if files[0].is_file() else None,
        start=next((event for event in events if event.get("kind") == "start"), {}),
        steps=tuple(steps[step] for step in sorted(steps)),
        end=next((event for event in reversed(events) if event.get("kind") == "end"), None),
        scores=tuple(_score(line, files[2]) for line in _read_lines(files[2])),
        watched=tuple(_score(event, files[1]) for event in events if event.get("kind") == "score"),
        warnings=tuple(event for event in events if event.get("kind") == "warning"),
    )


def _read_lines(file: Path) -> list[Record]:
    """JSON lines; a last line cut short by a kill is dropped, any other damage is the user's to know."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise SightwordError(
                    f"{file} line {number} is not JSON ({error.msg}); restore the file or remove that line"
                ) from error
    return records


def _score(line: Record, file: Path) -> Score:
    try:
        return Score(
            measure=Measure(line["dataset"], line["split"], line["task"], line["metric"]),
            value=float(line["value"]),
            low=float(line["low"]),
            high=float(line["high"]),
            n=int(line["n"]),
            step=int(line.get("step") or 0),
            samples=int(line.get("samples") or 0),
            flops=float(line.get("flops") or 0.0),
            record=line,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SightwordError(
            f"{file} holds a score without a usable {error}; evaluate the run again"
        ) from error


def measures(runs: Iterable[Run]) -> list[Measure]:
    """Every measure of any run, in the order of first appearance."""
    return list(dict.fromkeys(measure for run in runs for measure in run.final))
