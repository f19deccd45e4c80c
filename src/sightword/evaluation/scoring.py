"""One task on one split: scored, or found scored already, and written down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightword.evaluation.features import Encoder, FeatureStore
from sightword.evaluation.keeping import forget
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.measures import Measured, headline, own
from sightword.evaluation.outcomes import About, Outcomes, read_outcomes
from sightword.evaluation.scores import Score, append_scores, read_scores
from sightword.evaluation.task import Answer, Task
from sightword.training.records import code_version, digest

Say = Callable[[str], None]
Copies = Callable[[LabelledSet], int | None]  # how many of its pictures are in the training data


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
        """What is scored, for people."""
        return f"{self.test.name}/{self.test.split} {self.task.name}"


@dataclass(frozen=True, eq=False)
class Scoring:
    """What all steps of an evaluation share.

    copies: says how many of a set's pictures are in the training data; None: they are not compared.
    """

    model: Encoder
    features: FeatureStore
    out: Path
    force: bool
    say: Say
    copies: Copies | None

    def scores(self, step: Plan) -> list[Score]:
        """The scores of one task on one split, made or found.

        Raises:
            SightwordError: when the data is broken.
            OSError: when it cannot be read, or the scores cannot be written.
        """
        facts = step.task.protocol(self.model, step.test, step.train)
        protocol = {**facts, "hash": digest(json.dumps(facts, sort_keys=True))}
        hashes = protocol["hash"], self.model.weights_hash, step.test.data_hash
        about = About(step.test.name, step.test.split, step.task.name, *hashes)
        known = [] if self.force else _known(self.out, about)
        if known:
            return self._compared(known, step.test)
        answer = step.task.answer(self.features, step.test, step.train)
        validation = step.train.validation if step.train else None
        for part in (step.test, step.train, validation):
            if part is not None:
                self._tell_unreadable(step, part)
        measured = all_measured(answer, step.test, self.say)
        source = {
            "place": step.place,
            "protocol": protocol,
            "unreadable": len(self.features.bad(step.test)),
            "contaminated": self.copies(step.test) if self.copies else None,
            "chosen": answer.chosen,
        }
        best = headline(step.test.metric, measured)
        scores = _records(measured, best, about, source, self.model)
        names = tuple(one.metric for one in measured)
        Outcomes(about, answer.names, answer.outcomes, best, names).write(self.out)
        append_scores(self.out, scores)
        if step.train is not None:
            forget(self.features, step.train, step.task.name)
        return scores

    def _compared(self, known: list[Score], test: LabelledSet) -> list[Score]:
        """Known scores, which were perhaps made without a look at the training data."""
        if self.copies is None or all(score.contaminated is not None for score in known):
            return known
        copies = self.copies(test)
        if copies is None:
            return known
        told = [replace(score, contaminated=copies) for score in known]
        append_scores(self.out, told)
        return told

    def _tell_unreadable(self, step: Plan, part: LabelledSet) -> None:
        bad = self.features.bad(part)
        if bad:
            key, reason = bad[0]
            left_out = f"left out {len(bad)} of {len(part)} {part.split} pictures, unreadable"
            self.say(f"{step.title}: {left_out} ({key}: {reason})")


def all_measured(answer: Answer, test: LabelledSet, say: Say) -> tuple[Measured, ...]:
    """The metrics of an answer, the set's own among them where its outcomes allow it."""
    if any(one.metric == test.metric for one in answer.measured):
        return answer.measured
    more = own(test.metric, answer.outcomes)
    if more is None and test.metric == "roc_auc" and "score" in answer.outcomes.column_names:
        say(f"no roc_auc of {test.name}/{test.split}: all readable pictures are of one class")
    return (*answer.measured, *([more] if more else []))


def _known(out: Path, about: About) -> list[Score]:
    """What was scored before from just this; nothing when its outcomes are gone or say no own metric."""
    path = about.path(out)
    if not path.is_file():
        return []
    outcomes = read_outcomes(path)
    if outcomes.about != about or not outcomes.metric:
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


def _records(
    measured: tuple[Measured, ...], best: str, about: About, source: Mapping[str, Any], model: Encoder
) -> list[Score]:
    now, version = round(time.time(), 3), code_version()
    return [
        Score(
            dataset=about.dataset,
            split=about.split,
            task=about.task,
            metric=one.metric,
            value=one.interval.value,
            low=one.interval.low,
            high=one.interval.high,
            n=one.n,
            interval=one.method,
            headline=one.metric == best,
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
        for one in measured
    ]
