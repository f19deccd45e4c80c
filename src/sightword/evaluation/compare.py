"""Everything that two runs were both scored on: corrected together, averaged over suites, and concluded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError
from sightword.evaluation import suites
from sightword.evaluation.differences import Difference, differences, line
from sightword.evaluation.suites import Suite
from sightword.pairs.files import write_whole
from sightword.statistics import Interval, holm, normal_interval
from sightword.training.records import read_records

FILE = "comparisons.jsonl"
LEVEL = 0.05
NAMED = 8  # differences that a sentence names, before it counts the rest


@dataclass(frozen=True)
class MeanDifference:
    """The mean over data sets of the differences in each one's own metric, of one task."""

    suite: Suite
    task: str
    first: float
    second: float
    difference: Interval
    error: float
    p: float
    adjusted: float | None = None

    @property
    def title(self) -> str:
        """What was averaged."""
        return f"{self.suite.suite} {self.task}, {self.suite.said()}"

    def line(self) -> str:
        """For people."""
        return line(self.title, self.first, self.second, self.difference, self.adjusted, "normal")


@dataclass(frozen=True)
class Comparison:
    """Two runs, second less first.

    differences: of every metric of every data set and task that both were scored on.
    means: of each data set's own metric, over suites and over everything.
    left_out: a sentence for each set and task that could not be compared.
    """

    first: str
    second: str
    differences: tuple[Difference, ...]
    means: tuple[MeanDifference, ...]
    left_out: tuple[str, ...]

    @property
    def compared(self) -> int:
        """How many comparisons the correction is over."""
        return len(self.differences) + len(self.means)

    def lines(self) -> Iterator[str]:
        """The whole for people, the conclusion last."""
        yield from (one.line() for one in self.differences)
        yield from (one.line() for one in self.means)
        yield from (f"not compared: {reason}" for reason in self.left_out)
        yield self.conclusion()

    def conclusion(self) -> str:
        """Which differences are shown, in plain words: of each data set's own metric, and of the means."""
        own = [one for one in self.differences if one.headline] or self.differences
        judged: list[Difference | MeanDifference] = [*own, *self.means]
        better = [one for one in judged if is_shown(one) and one.difference.value > 0]
        worse = [one for one in judged if is_shown(one) and one.difference.value < 0]
        rule = (
            f"95 % interval clear of zero and p under {LEVEL:g} after Holm over {self.compared} comparisons"
        )
        if not better and not worse:
            return (
                f"no difference shown between {self.first} and {self.second} in any of {len(judged)} ({rule})"
            )
        parts = []
        for winner, some in ((self.second, better), (self.first, worse)):
            if some:
                parts.append(f"{winner} is better in {len(some)} of {len(judged)}, by: {_named(some)}")
        rest = len(judged) - len(better) - len(worse)
        parts += [f"no difference shown in the other {rest}"] * bool(rest)
        return f"{'; '.join(parts)} ({rule})"

    def records(self) -> Iterator[dict[str, Any]]:
        """A line of `comparisons.jsonl` for each."""
        runs = {"first_run": self.first, "second_run": self.second, "compared": self.compared}
        for one in self.differences:
            yield {"kind": "difference", **runs, **_flat(one)}
        for mean in self.means:
            facts = {**_flat(mean), **asdict(mean.suite)}
            yield {"kind": "mean", **runs, **facts, "interval": "normal", "test": "normal"}
        for reason in self.left_out:
            yield {"kind": "left out", **runs, "reason": reason}

    def write(self, path: Path) -> None:
        """Write the records; those of other pairs of runs that are in the file stay.

        Raises:
            SightwordError: when the file cannot be written, or holds something else.
        """
        mine = (self.first, self.second)
        kept = [one for one in read_records(path) if (one.get("first_run"), one.get("second_run")) != mine]
        text = "".join(json.dumps(one) + "\n" for one in [*kept, *self.records()])
        try:
            write_whole(path, lambda file: file.write(text.encode()))
        except OSError as error:
            raise SightwordError(
                f"cannot write '{path}' ({error.strerror}); give another file with --out"
            ) from error


def is_shown(one: Difference | MeanDifference) -> bool:
    """Whether the interval leaves out zero and the corrected p is small."""
    clear = one.difference.low > 0 or one.difference.high < 0
    return clear and one.adjusted is not None and one.adjusted < LEVEL


def compare(first: Path, second: Path, own: bool = False) -> Comparison:
    """Compare two runs on all that both were scored on.

    Args:
        first: the directory of the run to compare with.
        second: that of the run that may be better.
        own: only each data set's own metric: fewer comparisons, so the correction takes less.

    Raises:
        SightwordError: when one is not there, or nothing can be compared.
    """
    found = differences(first, second, own)
    means = _means(found.differences)
    adjusted = holm([*(one.p for one in found.differences), *(one.p for one in means)])
    some = len(found.differences)
    return Comparison(
        str(first),
        str(second),
        tuple(replace(d, adjusted=p) for d, p in zip(found.differences, adjusted[:some], strict=True)),
        tuple(replace(m, adjusted=p) for m, p in zip(means, adjusted[some:], strict=True)),
        found.left_out,
    )


def compare_runs(first: Path, second: Path) -> list[Difference]:
    """The differences of `compare` alone; errors as there."""
    return list(compare(first, second).differences)


def _means(found: Sequence[Difference]) -> list[MeanDifference]:
    """For each task, over each suite of which there are two data sets or more, and over all."""
    means = list[MeanDifference]()
    for task in dict.fromkeys(one.task for one in found):
        own = [one for one in found if one.task == task and one.headline]
        datasets = sorted({one.dataset for one in own})
        if len(datasets) < 2:
            continue
        of_suites = suites.present(datasets)
        whole = [] if any(set(s.sets) == set(datasets) for s in of_suites) else [suites.everything(datasets)]
        means += [_mean(suite, task, own) for suite in [*of_suites, *whole]]
    return means


def _mean(suite: Suite, task: str, own: Sequence[Difference]) -> MeanDifference:
    value, error = suites.mean([(d.dataset, d.difference.value, d.error) for d in own], suite.sets)
    first, second = (
        suites.mean([(d.dataset, getattr(d, which), 0.0) for d in own], suite.sets)[0]
        for which in ("first", "second")
    )
    ends = normal_interval(value, error)
    return MeanDifference(suite, task, first, second, ends, error, suites.p_of(value, error))


def _named(some: Sequence[Difference | MeanDifference]) -> str:
    titles = [f"{one.title} {100 * abs(one.difference.value):.1f} points" for one in some[:NAMED]]
    more = [f"{len(some) - NAMED} more"] if len(some) > NAMED else []
    return ", ".join([*titles, *more])


def _flat(one: Difference | MeanDifference) -> dict[str, Any]:
    """Its fields, the difference's ends beside them."""
    facts = asdict(one)
    facts.pop("suite", None)
    ends = facts.pop("difference")
    return {
        **facts,
        "difference": ends["value"],
        "low": ends["low"],
        "high": ends["high"],
        "shown": is_shown(one),
    }
