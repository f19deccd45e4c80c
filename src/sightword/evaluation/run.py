"""Evaluate a model: plan what can be scored, say what cannot, score the rest, write everything down."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightword.errors import SightwordError, unknown
from sightword.evaluation.benchmarks import Benchmark, LabelledSet, open_benchmark, places_of
from sightword.evaluation.features import Encoder, FeatureStore
from sightword.evaluation.outcomes import About, Outcomes, read_outcomes
from sightword.evaluation.scores import Score, append_scores, clip_benchmark_rows, read_scores
from sightword.evaluation.task import Answer, Task
from sightword.evaluation.tasks import DEFAULT, TASKS
from sightword.pairs.files import write_whole
from sightword.training.records import code_version, digest

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Plan:
    """One task on one split of a place; `refusal` is why it cannot be scored."""

    place: str
    task: Task
    test: LabelledSet
    train: LabelledSet | None
    refusal: str

    @property
    def title(self) -> str:
        return f"{self.test.name}/{self.test.split} {self.task.name}"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def evaluate(
    model: Encoder,
    out: Path,
    on: Sequence[str] = ("demo",),
    tasks: Sequence[str] = DEFAULT,
    *,
    data_root: Path = Path(),
    force: bool = False,
    say: Say = _to_stderr,
) -> list[Score]:
    """Score a model on every split of every benchmark.

    Args:
        model: what `sightword.load` gives.
        out: the run's directory; gets `scores.jsonl`, `results.json`, `outcomes/` and `features/`.
        on: places of labelled data: `demo`, folders, tars, published data sets (`food101`, `food101=PATH`),
            suites (`slip`, `vtab`, ...; what is missing of a suite is said and left out).
        tasks: names of `TASKS`. What a model or a set cannot do is said and left out.
        data_root: the folder below which published data sets are looked for.
        force: score again what was scored with the same weights, data and protocol.
        say: where to tell of refusals and unreadable pictures.

    Returns:
        The scores asked for, those already there included.

    Raises:
        SightwordError: for unknown tasks and places or broken data, before anything is scored.
    """
    places, missing = places_of(on, data_root)
    for one in missing:
        say(one.line())
    plans = plan(model, {where: open_benchmark(where) for where in places}, tasks)
    for refused in (plan for plan in plans if plan.refusal):
        say(f"not scored: {refused.title}: {refused.refusal}")
    features = FeatureStore(model, out / "features")
    scores: list[Score] = []
    for step in (plan for plan in plans if not plan.refusal):
        scores += _scored(step, model, features, out, force, say)
    rows = json.dumps(clip_benchmark_rows(read_scores(out)), indent=1)
    write_whole(out / "results.json", lambda file: file.write(rows.encode()))
    return scores


def plan(model: Encoder, benchmarks: Mapping[str, Benchmark], tasks: Sequence[str]) -> list[Plan]:
    """What is to be scored, task by task on each test split of each place's benchmark, refusals included.

    Raises:
        SightwordError: for an unknown task, or two sets of one name.
    """
    known = {task.name: task for task in TASKS}
    for name in tasks:
        if name not in known:
            raise unknown("task", name, known)
    sets = [f"{test.name}/{test.split}" for benchmark in benchmarks.values() for test in benchmark.tests]
    for twice in {name for name in sets if sets.count(name) > 1}:
        raise SightwordError(f"two of the sets are called {twice}; rename one folder, or evaluate them apart")
    return [
        Plan(place, known[name], test, benchmark.train, known[name].refuses(model, test, benchmark.train))
        for place, benchmark in benchmarks.items()
        for test in benchmark.tests
        for name in dict.fromkeys(tasks)
    ]


def _scored(
    step: Plan, model: Encoder, features: FeatureStore, out: Path, force: bool, say: Say
) -> list[Score]:
    """The scores of one task on one split, made or found."""
    test, facts = step.test, step.task.protocol(model, step.test, step.train)
    protocol = {**facts, "hash": digest(json.dumps(facts, sort_keys=True))}
    hashes = protocol["hash"], model.weights_hash, test.data_hash
    about = About(test.name, test.split, step.task.name, *hashes)
    known = [] if force else _known(out, about)
    if known:
        return known
    answer = step.task.answer(features, test, step.train)
    for part in (test, *([step.train] if step.train else [])):
        _tell_unreadable(step, part, features, say)
    source = {"place": step.place, "protocol": protocol, "unreadable": len(features.bad(test))}
    scores = _records(answer, about, source, model)
    Outcomes(about, answer.names, answer.outcomes).write(out)
    append_scores(out, scores)
    return scores


def _tell_unreadable(step: Plan, part: LabelledSet, features: FeatureStore, say: Say) -> None:
    bad = features.bad(part)
    if bad:
        key, reason = bad[0]
        left_out = f"left out {len(bad)} of {len(part)} {part.split} pictures, unreadable"
        say(f"{step.title}: {left_out} ({key}: {reason})")


def _known(out: Path, about: About) -> list[Score]:
    """What was scored before from just this; nothing when its outcomes are gone."""
    path = about.path(out)
    if not path.is_file() or read_outcomes(path).about != about:
        return []
    latest = {score.metric: score for score in read_scores(out) if _about(score) == about}
    return list(latest.values())


def _about(score: Score) -> About:
    return About(
        score.dataset,
        score.split,
        score.task,
        str(score.protocol["hash"]),
        score.weights_hash,
        score.data_hash,
    )


def _records(answer: Answer, about: About, source: Mapping[str, Any], model: Encoder) -> list[Score]:
    now, version = round(time.time(), 3), code_version()
    return [
        Score(
            dataset=about.dataset,
            split=about.split,
            task=about.task,
            metric=measured.metric,
            value=measured.interval.value,
            low=measured.interval.low,
            high=measured.interval.high,
            n=measured.n,
            interval=measured.method,
            chosen=answer.chosen,
            **source,
            run=model.name,
            weights_hash=about.weights_hash,
            data_hash=about.data_hash,
            code_version=version,
            step=model.step,
            samples=model.samples,
            flops=model.flops,
            time=now,
        )
        for measured in answer.measured
    ]
