"""Two runs on the same examples: the paired difference of every metric, with its interval."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sightword.errors import SightwordError
from sightword.evaluation.measures import RECALLS
from sightword.evaluation.outcomes import Outcomes, read_outcomes
from sightword.evaluation.overlap import COUNTED, OVERLAPS
from sightword.evaluation.pairing import paired
from sightword.statistics import Interval

_OLD = "the outcomes of '{}' do not say which metrics were made of them; evaluate it again with --force"
_AT = re.compile(r"(?:acc|(image|text)_retrieval_recall@)(\d+)")


@dataclass(frozen=True)
class Difference:
    """How much better the second run is than the first.

    difference: second minus first, with its 95 % paired interval (over clusters where there are); `interval`
        says how it was made, `error` is its standard error.
    p: two-sided, that the runs are alike; `test` says by which test.
    adjusted: p by Holm's correction over everything compared at once.
    headline: whether the metric is the data set's own.
    """

    dataset: str
    split: str
    task: str
    metric: str
    first: float
    second: float
    difference: Interval
    n: int
    p: float
    adjusted: float | None = None
    headline: bool = False
    error: float = 0.0
    interval: str = ""
    test: str = ""

    @property
    def title(self) -> str:
        """What was measured."""
        return f"{self.dataset}/{self.split} {self.task} {self.metric}"

    def line(self) -> str:
        """For people: both values and their difference, in percent."""
        return line(self.title, self.first, self.second, self.difference, self.adjusted, self.test)


@dataclass(frozen=True)
class Found:
    """What two runs share.

    differences: every metric that both were scored on, not yet corrected for their number.
    left_out: a sentence for each set and task that could not be compared.
    """

    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]


def line(
    title: str, first: float, second: float, difference: Interval, adjusted: float | None, test: str
) -> str:
    """A difference for people."""
    low, high = 100 * difference.low, 100 * difference.high
    change = f"{100 * difference.value:+5.1f} [{low:+.1f}, {high:+.1f}]"
    sure = "" if adjusted is None else f"  p {adjusted:.2g} ({test}, Holm)"
    return f"{title:<56} {100 * first:5.1f} -> {100 * second:5.1f}  {change}{sure}"


def differences(first: Path, second: Path, own: bool = False) -> Found:
    """Every metric that both runs were scored on; with `own`, only the one that stands for each answer.

    Raises:
        SightwordError: when a run is not there, they share nothing, or nothing that they share can be
            compared (other data, another protocol, damaged files).
    """
    for run in (first, second):
        if not run.is_dir():
            raise SightwordError(f"there is no run in '{run}'; give the directory of a run (its --out)")
    shared = sorted(_files(first) & _files(second))
    if not shared:
        raise SightwordError(f"'{first}' and '{second}' share no outcomes; run `sightword evaluate` on both")
    found, errors = list[Difference](), list[SightwordError]()
    for name in shared:
        try:
            one, other = (read_outcomes(run / "outcomes" / name) for run in (first, second))
            wanted = [name for name in metrics(other) if name == other.metric or not own]
            found += [difference(one, other, metric) for metric in wanted]
        except SightwordError as error:
            errors.append(error)
    if not found:
        raise errors[0] if errors else SightwordError(_OLD.format(second))
    only = [
        f"only '{run}' was scored on {Path(name).stem}"
        for run, names in ((first, _files(first)), (second, _files(second)))
        for name in sorted(names - set(shared))
    ]
    return Found(tuple(found), (*(str(error) for error in errors), *only))


def difference(first: Outcomes, second: Outcomes, metric: str) -> Difference:
    """The paired difference of one metric.

    Raises:
        SightwordError: when the outcomes are of other data, another protocol or other examples.
    """
    _check(first, second)
    one, other = rows_of(first, metric), rows_of(second, metric)
    if one["key"].to_pylist() != other["key"].to_pylist():
        raise SightwordError(f"the runs answered other examples of {_title(first)}; evaluate both again")
    found = paired(metric, rank_of(metric), one, other)
    return Difference(
        *(first.about.dataset, first.about.split, first.about.task, metric),
        first=found.first,
        second=found.second,
        difference=found.difference,
        n=one.num_rows,
        p=found.p,
        headline=metric == second.metric,
        error=found.error,
        interval=found.interval,
        test=found.test,
    )


def metrics(outcomes: Outcomes) -> list[str]:
    """The metrics that can be computed from outcomes."""
    columns = set(outcomes.table.column_names)
    if "direction" in columns:
        return [f"{side}_retrieval_recall@{k}" for side in ("text", "image") for k in RECALLS]
    if {"rank", "label"} <= columns:
        plain = ["acc1", *(["acc5"] if len(outcomes.names) >= 5 else []), "mean_per_class_recall"]
        derived = {"mean_acc1_acc5": "rank", "roc_auc": "score"}
        return plain + [outcomes.metric] * (derived.get(outcomes.metric) in columns)
    known = columns | set(OVERLAPS if set(COUNTED) <= columns else ())
    return [metric for metric in outcomes.metrics if metric in known]


def rank_of(metric: str) -> int:
    """The worst rank that is right; 0 for metrics that are not about ranks."""
    at = _AT.fullmatch(metric)
    return int(at[2]) if at else int(metric == "mean_per_class_recall")


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


def rows_of(outcomes: Outcomes, metric: str) -> pa.Table:
    """The rows that a metric is over, in the order of their keys."""
    table = outcomes.table
    at = _AT.fullmatch(metric)
    if at and at[1]:
        table = table.filter(pc.equal(table["direction"], at[1]))
    return table.sort_by("key")


def _files(run: Path) -> set[str]:
    return {path.name for path in (run / "outcomes").glob("*.parquet")}
