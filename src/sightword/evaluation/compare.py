"""Two runs on the same examples: the paired difference of every metric, with its interval."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from sightword.errors import SightwordError
from sightword.evaluation.measures import RECALLS
from sightword.evaluation.outcomes import Outcomes, read_outcomes
from sightword.statistics import Interval, class_weights, holm, mcnemar, paired_difference

_AT = re.compile(r"(?:acc|(image|text)_retrieval_recall@)(\d+)")


@dataclass(frozen=True)
class Difference:
    """How much better the second run is than the first.

    difference: second minus first, with its 95 % paired bootstrap interval (over clusters where there are).
    p: exact McNemar, which takes examples as independent; None for means over classes.
    adjusted: p by Holm's correction over everything compared at once.
    """

    dataset: str
    split: str
    task: str
    metric: str
    first: float
    second: float
    difference: Interval
    n: int
    p: float | None
    adjusted: float | None = None

    def line(self) -> str:
        """For people: both values and their difference, in percent."""
        low, high = 100 * self.difference.low, 100 * self.difference.high
        what = f"{self.dataset}/{self.split} {self.task} {self.metric}"
        change = f"{100 * self.difference.value:+5.1f} [{low:+.1f}, {high:+.1f}]"
        sure = "" if self.adjusted is None else f"  p {self.adjusted:.2g} (McNemar, Holm)"
        return f"{what:<56} {100 * self.first:5.1f} -> {100 * self.second:5.1f}  {change}{sure}"


def compare_runs(first: Path, second: Path) -> list[Difference]:
    """Every metric that both runs were scored on.

    Raises:
        SightwordError: when one is not there, they share no metric, or differ in data or protocol.
    """
    for run in (first, second):
        if not run.is_dir():
            raise SightwordError(f"there is no run in '{run}'; give the directory of a run (its --out)")
    shared = sorted({path.name for path in (first / "outcomes").glob("*.parquet")} & _files(second))
    if not shared:
        raise SightwordError(f"'{first}' and '{second}' share no outcomes; run `sightword evaluate` on both")
    found = []
    for name in shared:
        one, other = read_outcomes(first / "outcomes" / name), read_outcomes(second / "outcomes" / name)
        found += [difference(one, other, metric) for metric in metrics(one)]
    return _adjusted(found)


def difference(first: Outcomes, second: Outcomes, metric: str) -> Difference:
    """The paired difference of one metric.

    Raises:
        SightwordError: when the outcomes are of other data, another protocol or other examples.
    """
    _check(first, second)
    one, other = _rows(first, metric), _rows(second, metric)
    if one["key"].to_pylist() != other["key"].to_pylist():
        raise SightwordError(f"the runs answered other examples of {_title(first)}; evaluate both again")
    right, better = _right(one, metric), _right(other, metric)
    weights = class_weights(one["label"].to_numpy()) if metric == "mean_per_class_recall" else None
    return Difference(
        *(first.about.dataset, first.about.split, first.about.task, metric),
        first=float(np.average(right, weights=weights)),
        second=float(np.average(better, weights=weights)),
        difference=paired_difference(right, better, weights=weights, clusters=_clusters(one)),
        n=len(right),
        p=mcnemar(right, better) if weights is None else None,
    )


def metrics(outcomes: Outcomes) -> list[str]:
    """The metrics that can be computed from outcomes."""
    if "direction" in outcomes.table.column_names:
        return [f"{side}_retrieval_recall@{k}" for side in ("text", "image") for k in RECALLS]
    return ["acc1", *(["acc5"] if len(outcomes.names) >= 5 else []), "mean_per_class_recall"]


def _check(first: Outcomes, second: Outcomes) -> None:
    for what, name in (("data", "data_hash"), ("protocol", "protocol_hash")):
        one, other = getattr(first.about, name), getattr(second.about, name)
        if one != other:
            raise SightwordError(
                f"the runs were scored on {_title(first)} with different {what} ({one[:8]}, {other[:8]}); "
                "evaluate both again on the same files"
            )


def _title(outcomes: Outcomes) -> str:
    return f"{outcomes.about.dataset}/{outcomes.about.split} {outcomes.about.task}"


def _rows(outcomes: Outcomes, metric: str) -> pa.Table:
    """The rows that a metric is over, in the order of their keys."""
    table = outcomes.table
    at = _AT.fullmatch(metric)
    if at and at[1]:
        table = table.filter(pc.equal(table["direction"], at[1]))
    return table.sort_by("key")


def _right(rows: pa.Table, metric: str) -> Bool[np.ndarray, " n"]:
    at = _AT.fullmatch(metric)
    return np.asarray(rows["rank"].to_numpy() <= (int(at[2]) if at else 1))


def _clusters(rows: pa.Table) -> list[str] | None:
    names = rows["cluster"].to_pylist()
    return names if None not in names and len(set(names)) < len(names) else None


def _files(run: Path) -> set[str]:
    return {path.name for path in (run / "outcomes").glob("*.parquet")}


def _adjusted(found: Sequence[Difference]) -> list[Difference]:
    tested = [item for item in found if item.p is not None]
    corrected = iter(holm([item.p for item in tested if item.p is not None]))
    return [item if item.p is None else replace(item, adjusted=next(corrected)) for item in found]
