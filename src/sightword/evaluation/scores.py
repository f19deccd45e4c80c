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
    headline: whether the metric is the data set's own (SLIP, section 4.4), by which suites are averaged; one
        of each task and split is.
    contaminated: how many of the test pictures are in the training data, by their bytes or their looks; None
        where they were not compared.
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
    headline: bool = False
    contaminated: int | None = None

    def line(self) -> str:
        """For people: what was measured, in percent."""
        ends = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        what = f"{self.dataset}/{self.split} {self.task} {self.metric}"
        copies = f"  ({self.contaminated:,} in the training data)" if self.contaminated else ""
        return f"{what:<56} {100 * self.value:5.1f} % {ends:<14} n {self.n:,}{copies}"


def read_scores(run: Path) -> list[Score]:
    """The scores of a run, oldest first.

    Raises:
        SightwordError: when a line is not a score.
    """
    names = {field.name for field in fields(Score)}
    try:
        return [
            Score(**{name: value for name, value in record.items() if name in names})
            for record in read_records(run / FILE)
        ]
    except (AttributeError, TypeError, ValueError) as error:
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
