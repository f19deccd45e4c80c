"""What came of an evaluation: scores, means over suites, what is missing, and what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightword.evaluation import suites
from sightword.evaluation.features import Encoder
from sightword.evaluation.finding import Missing
from sightword.evaluation.scores import Score
from sightword.evaluation.suites import Suite
from sightword.pairs.files import write_whole
from sightword.statistics import Interval
from sightword.training.records import open_sinks

SUITES = "suites.jsonl"


@dataclass(frozen=True)
class SuiteMean:
    """The mean of each data set's own metric, of one task, and its 95 % interval.

    metrics: the metric of each data set that it is over.
    """

    suite: Suite
    task: str
    metrics: dict[str, str]
    interval: Interval

    def line(self) -> str:
        """For people, in percent."""
        ends = f"[{100 * self.interval.low:.1f}, {100 * self.interval.high:.1f}]"
        what = f"{self.suite.suite} {self.task}"
        return f"{what:<56} {100 * self.interval.value:5.1f} % {ends:<14} {self.suite.said()}"


@dataclass(frozen=True)
class Failed:
    """A data set, or a task on it, that ended in an error."""

    what: str
    reason: str


@dataclass(frozen=True)
class Evaluated:
    """All of it.

    scores: those asked for, those that were there already included.
    means: over suites, of all scores of these weights.
    missing: data sets of the suites asked for that were not found.
    asked: how many data sets were asked for, the missing ones included.
    failed: what could not be scored because it is broken; everything else was scored nevertheless.
    """

    scores: tuple[Score, ...]
    means: tuple[SuiteMean, ...]
    missing: tuple[Missing, ...]
    asked: int
    failed: tuple[Failed, ...]

    @property
    def exit_code(self) -> int:
        """0: all that is there was scored; 2: something is broken. What is missing or refused is no error."""
        return 2 if self.failed else 0

    def lines(self) -> Iterator[str]:
        """For people: scores, means, and then once more what is not among them."""
        yield from (score.line() for score in self.scores)
        yield from (mean.line() for mean in self.means)
        if self.missing:
            names = ", ".join(one.card.name for one in self.missing)
            yield (
                f"missing: {len(self.missing)} of {self.asked} data sets: {names}; "
                "`sightword evaluate --list` says how to get each"
            )
        if self.failed:
            yield self.failure()

    def failure(self) -> str:
        """What failed, in one line."""
        said = "; ".join(f"{one.what}: {one.reason}" for one in self.failed)
        return f"failed: {len(self.failed)}, the others are scored: {said}"


def means_of(scores: Sequence[Score], weights_hash: str) -> list[SuiteMean]:
    """Means over each suite of which two data sets or more were scored with these weights.

    Args:
        scores: of a run, oldest first; of equal ones the last counts.
        weights_hash: of the weights that are averaged over.
    """
    own = [score for score in scores if score.headline and score.weights_hash == weights_hash]
    latest = {(score.task, score.dataset, score.split): score for score in own}
    means = []
    for task in dict.fromkeys(task for task, _, _ in latest):
        mine = [score for score in latest.values() if score.task == task]
        means += [_mean(suite, task, mine) for suite in suites.present(score.dataset for score in mine)]
    return means


def write_means(run: Path, means: Sequence[SuiteMean], model: Encoder, time: float) -> None:
    """Write `suites.jsonl`, a line for each mean; none there, no file."""
    path = run / SUITES
    if not means:
        path.unlink(missing_ok=True)
        return
    text = "".join(json.dumps(_record(mean, model, time)) + "\n" for mean in means)
    write_whole(path, lambda file: file.write(text.encode()))


def report(run: Path, sinks: Sequence[str], done: Evaluated, model: Encoder) -> None:
    """Send scores and means to the sinks of `--report-to`, at the step of the weights.

    Raises:
        SightwordError: when one is unknown, or its package is not installed.
    """
    scores = {f"{s.dataset}/{s.split}/{s.task}/{s.metric}": s.value for s in done.scores}
    means = {f"{m.suite.suite}/{m.task}/mean_of_{len(m.suite.sets)}": m.interval.value for m in done.means}
    for sink in open_sinks(sinks, run, {}, model.step):
        sink.write({"step": model.step, "scores": scores, "suites": means})
        sink.close()


def _mean(suite: Suite, task: str, scores: Sequence[Score]) -> SuiteMean:
    errors = [(s.dataset, s.value, (s.high - s.low) / (2 * suites.Z95)) for s in scores]
    interval = suites.mean_interval(*suites.mean(errors, suite.sets))
    metrics = {score.dataset: score.metric for score in scores if score.dataset in suite.sets}
    return SuiteMean(suite, task, metrics, interval)


def _record(mean: SuiteMean, model: Encoder, time: float) -> dict[str, Any]:
    ends = asdict(mean.interval)
    made = {"task": mean.task, **ends, "n": len(mean.suite.sets), "interval": "normal"}
    of = {"run": model.name, "weights_hash": model.weights_hash}
    spent = {"step": model.step, "samples": model.samples, "flops": model.flops, "time": time}
    return {**asdict(mean.suite), **made, "metrics": mean.metrics, **of, **spent}
