"""Scores while a model trains: zero-shot on the demo's unseen pictures, or yours; nothing kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sightword.errors import BadSample
from sightword.evaluation.benchmarks import Benchmark, open_benchmark
from sightword.evaluation.features import Encoder, FeatureStore, picture_of
from sightword.evaluation.labelled import LabelledSet, Picture
from sightword.evaluation.measures import headline
from sightword.evaluation.retrieval import Retrieval
from sightword.evaluation.scoring import all_measured
from sightword.evaluation.zeroshot import ZeroShot
from sightword.views.store import Pixels

_KEPT = 256 * 2**20  # bytes of a set's pictures, at most


@cache
def _opened(where: str) -> Benchmark:
    benchmark = open_benchmark(where)
    return replace(benchmark, tests=tuple(_remembered(test) for test in benchmark.tests))


def _remembered(test: LabelledSet) -> LabelledSet:
    """The same pictures, the first of them kept decoded: they are looked at again and again."""
    kept, room = dict[int, Pixels](), [_KEPT]

    def read(i: int) -> Picture:
        if i in kept:
            return kept[i]
        found = picture_of(test, i)
        if isinstance(found, BadSample):
            raise found
        room[0] -= found.nbytes
        if room[0] > 0:
            kept[i] = found
        return found

    return replace(test, read=read)


def zeroshot(model: Encoder, on: Sequence[str] = ("demo",)) -> list[dict[str, Any]]:
    """One record for each metric on each test split; none for a model without a text tower.

    A set without classes, such as held-out pairs, is scored on retrieval instead.

    The demo's are test splits, for watching: whoever picks a checkpoint by them has chosen on test data. To
    pick one, give a validation set of your own.

    Args:
        model: what trains, as it is now.
        on: places of labelled data, as `sightword evaluate --on` takes them.

    Raises:
        SightwordError: nothing known lies at a place, or it is broken.
    """
    return [record for where in on for record in _scores(model, _opened(where))]


def _scores(model: Encoder, benchmark: Benchmark) -> list[dict[str, Any]]:
    records = []
    for test in benchmark.tests:
        task = Retrieval() if test.classes is None else ZeroShot()
        if task.refuses(model, test, benchmark.train):
            continue
        about = {"dataset": test.name, "split": test.split, "task": task.name}
        measured = all_measured(task.answer(FeatureStore(model, None), test, benchmark.train), test, _silent)
        best = headline(test.metric, measured)
        for found in measured:
            ends = {"value": found.interval.value, "low": found.interval.low, "high": found.interval.high}
            is_own = {"headline": found.metric == best}
            records.append({**about, "metric": found.metric, **ends, "n": found.n, **is_own})
    return records


def _silent(line: str) -> None:
    """Training has no place for what evaluation would say of a set."""
