"""Zero-shot scores while a model trains: on the demo's unseen pictures, nothing kept on disk."""

from __future__ import annotations

from functools import cache
from typing import Any

from sightword.evaluation.benchmarks import Benchmark, open_benchmark
from sightword.evaluation.features import Encoder, FeatureStore
from sightword.evaluation.zeroshot import ZeroShot


@cache
def _demo() -> Benchmark:
    return open_benchmark("demo")


def zeroshot(model: Encoder) -> list[dict[str, Any]]:
    """One record for each metric on each test split; none for a model without a text tower.

    These numbers are for watching: whoever picks a checkpoint by them has chosen on test data.
    """
    task, benchmark = ZeroShot(), _demo()
    records = []
    for test in benchmark.tests:
        if task.refuses(model, test, benchmark.train):
            continue
        about = {"dataset": test.name, "split": test.split, "task": task.name}
        for found in task.answer(FeatureStore(model, None), test, benchmark.train).measured:
            ends = {"value": found.interval.value, "low": found.interval.low, "high": found.interval.high}
            records.append({**about, "metric": found.metric, **ends, "n": found.n})
    return records
