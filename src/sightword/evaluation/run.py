"""Evaluate a model: plan what can be scored, say what cannot, score the rest, write everything down."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sightword.errors import BadSample, SightwordError
from sightword.evaluation import clip_benchmark
from sightword.evaluation.benchmarks import Benchmark, open_benchmark, places_of
from sightword.evaluation.evaluated import Evaluated, Failed, SuiteMean, means_of, report, write_means
from sightword.evaluation.features import Encoder, FeatureStore
from sightword.evaluation.scores import Score, read_scores
from sightword.evaluation.scoring import Copies, Plan, Say, Scoring
from sightword.evaluation.settings import chosen
from sightword.evaluation.task import Task
from sightword.evaluation.tasks import DEFAULT, TASKS
from sightword.training.records import check_sinks

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def evaluate(
    model: Encoder,
    out: Path,
    on: Sequence[str] = ("demo",),
    tasks: Sequence[str] = DEFAULT,
    **options: Any,
) -> list[Score]:
    """The scores of `evaluate_all`, whose arguments these are.

    Raises:
        SightwordError: as there; and, after everything else was scored, when a data set is broken.
    """
    done = evaluate_all(model, out, on, tasks, **options)
    if done.failed:
        raise SightwordError(done.failure())
    return list(done.scores)


def evaluate_all(
    model: Encoder,
    out: Path,
    on: Sequence[str] = ("demo",),
    tasks: Sequence[str] = DEFAULT,
    *,
    data_root: Path = Path(),
    force: bool = False,
    say: Say = _to_stderr,
    copies: Copies | None = None,
    report_to: Sequence[str] = (),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Evaluated:
    """Score a model on every split of every benchmark. What is broken does not end the others.

    Every score is on disk before the next is begun: the same call goes on where it was interrupted.

    Args:
        model: what `sightword.load` gives.
        out: the run's directory; gets `scores.jsonl`, `suites.jsonl`, `results.json`, `clip_benchmark/`,
            `outcomes/` and `features/`.
        on: places of labelled data: `demo`, folders, tars, published data sets (`food101`, `food101=PATH`),
            suites (`slip`, `vtab`, ...; what is missing of a suite is said and left out).
        tasks: names of `TASKS`. What a model or a set cannot do is said and left out.
        data_root: the folder below which published data sets are looked for.
        force: score again what was scored with the same weights, data and protocol.
        say: where to tell of refusals and unreadable pictures.
        copies: says how many of a set's pictures are in the training data (`corpora.checking.copies`).
        report_to: sinks that also get the scores: tensorboard, wandb.
        settings: of tasks, such as `{"fewshot.shots": "1,4"}`; `sightword evaluate --list` shows all.

    Raises:
        SightwordError: for unknown tasks, settings, sinks and places, and when every data set is broken,
            before anything is scored.
    """
    check_sinks(report_to)
    wanted = chosen(TASKS, tasks, settings)
    places, missing = places_of(on, data_root)
    for one in missing:
        say(one.line())
    benchmarks, failed = _opened(places)
    plans = plan(model, benchmarks, wanted)
    for broken in failed:
        say(f"failed: {broken.what}: {broken.reason}")
    for refused in (plan for plan in plans if plan.refusal):
        say(f"not scored: {refused.title}: {refused.refusal}")
    scoring = Scoring(model, FeatureStore(model, out / "features"), out, force, say, copies)
    scores = _all_scores([plan for plan in plans if not plan.refusal], scoring, failed)
    means = _written(out, model)
    done = Evaluated(tuple(scores), means, tuple(missing), len(places) + len(missing), tuple(failed))
    if report_to:
        report(out, report_to, done, model)
    return done


def _all_scores(plans: Sequence[Plan], scoring: Scoring, failed: list[Failed]) -> list[Score]:
    """The scores of what can be scored; what cannot be is added to `failed`."""
    scores = list[Score]()
    for step in plans:
        try:
            scores += scoring.scores(step)
        except Exception as error:  # readers raise anything on broken files, and one must not end the others
            if isinstance(error, OSError) and error.errno in FULL:
                raise SightwordError(
                    f"cannot write to '{scoring.out}' ({error.strerror}); make room, then run the same again"
                ) from error
            failed.append(Failed(step.title, _reason(error)))
            scoring.say(f"failed: {step.title}: {failed[-1].reason}")
    return scores


def plan(model: Encoder, benchmarks: Mapping[str, Benchmark], tasks: Sequence[Task]) -> list[Plan]:
    """What is to be scored, task by task on each test split of each place's benchmark, refusals included.

    Raises:
        SightwordError: for two sets of one name.
    """
    sets = [f"{test.name}/{test.split}" for benchmark in benchmarks.values() for test in benchmark.tests]
    for twice in {name for name in sets if sets.count(name) > 1}:
        raise SightwordError(f"two of the sets are called {twice}; rename one folder, or evaluate them apart")
    return [
        Plan(place, task, test, benchmark.train, task.refuses(model, test, benchmark.train))
        for place, benchmark in benchmarks.items()
        for test in benchmark.tests
        for task in tasks
    ]


def _opened(places: Sequence[str]) -> tuple[dict[str, Benchmark], list[Failed]]:
    """What lies at each place. A place where nothing is, is a wrong wish; broken data is only told."""
    opened, failed, first = dict[str, Benchmark](), list[Failed](), None
    for where in places:
        try:
            opened[where] = open_benchmark(where)
        except Exception as error:
            if isinstance(error, SightwordError) and not clip_benchmark.path_of(where).exists():
                raise
            failed.append(Failed(where, _reason(error)))
            first = first or SightwordError(f"'{where}' cannot be evaluated on: {failed[-1].reason}")
    if first and not opened:
        raise first
    return opened, failed


def _reason(error: Exception) -> str:
    """What went wrong with a data set; our own mistakes are no fault of its."""
    if isinstance(error, AssertionError):
        raise error
    known = isinstance(error, SightwordError | BadSample | OSError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _written(out: Path, model: Encoder) -> tuple[SuiteMean, ...]:
    """Whatever is made from all scores of the run; gives the means."""
    scores = read_scores(out)
    means = tuple(means_of(scores, model.weights_hash))
    write_means(out, means, model, round(time.time(), 3))
    clip_benchmark.write(out, scores)
    return means
