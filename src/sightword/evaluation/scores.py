"""Scores: every measured number with what it was measured by, appended to `RUN/scores.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.training.records import read_records

FILE = "scores.jsonl"
CLIP_BENCHMARK_TASKS = {
    "zeroshot": "zeroshot_classification",
    "retrieval": "zeroshot_retrieval",
    "linear": "linear_probe",
}


@dataclass(frozen=True)
class Score:
    """One metric of one task on one split, of one model.

    value, low, high: a fraction and its 95 % interval; `interval` says how it was made.
    place: where the data lay, as the user named it.
    n: how many examples (or queries) it is over; `unreadable` pictures are not among them.
    protocol: everything that decides the number besides weights and data; its `hash` names it.
    chosen: what was chosen on a split of the training part.
    step, samples, flops: how much training is in the weights.
    time: seconds since 1970 when it was measured.
    """

    place: str
    dataset: str
    split: str
    task: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    interval: str
    protocol: Mapping[str, Any]
    chosen: Mapping[str, Any]
    unreadable: int
    run: str
    weights_hash: str
    data_hash: str
    code_version: str
    step: int
    samples: int
    flops: float
    time: float

    def line(self) -> str:
        """For people: what was measured, in percent."""
        ends = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        what = f"{self.dataset}/{self.split} {self.task} {self.metric}"
        return f"{what:<56} {100 * self.value:5.1f} % {ends:<14} n {self.n:,}"


def read_scores(run: Path) -> list[Score]:
    """The scores of a run, oldest first.

    Raises:
        SightwordError: when a line is not a score.
    """
    names = [field.name for field in fields(Score)]
    try:
        return [Score(**{name: record[name] for name in names}) for record in read_records(run / FILE)]
    except (KeyError, ValueError) as error:
        raise SightwordError(f"'{run / FILE}' holds a line that is no score ({error}); remove it") from error


def append_scores(run: Path, scores: Iterable[Score]) -> None:
    """Add scores to a run. A last line that a crash cut short is dropped, nothing else is touched."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / FILE).open("a+b") as file:
        file.seek(0)
        written = file.read()
        file.truncate(written.rfind(b"\n") + 1)
        file.write("".join(json.dumps(asdict(score)) + "\n" for score in scores).encode())
        file.flush()
        os.fsync(file.fileno())


def clip_benchmark_rows(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """Latest scores in the shape of CLIP_benchmark's result files, one row for each task and split."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for score in scores:
        row = rows.setdefault(
            (score.dataset, score.split, score.task),
            {
                "dataset": f"{score.dataset}/{score.split}",
                "model": score.run,
                "pretrained": score.weights_hash,
                "task": CLIP_BENCHMARK_TASKS.get(score.task, score.task),
                "metrics": {},
                "language": "en",
            },
        )
        row["pretrained"] = score.weights_hash
        row["metrics"][score.metric] = score.value
    return list(rows.values())
