"""Scores on one's own pairs and on the reference, and the number that stands for all of the reference."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from sightword.corpora.checking.copies import Copies
from sightword.errors import SightwordError
from sightword.evaluation.differences import Difference, differences
from sightword.evaluation.run import evaluate_all
from sightword.evaluation.scores import FILE, Score, read_scores
from sightword.statistics import Interval, normal_interval
from sightword.study.holding import TEST, VALIDATION
from sightword.training.disk import write_text
from sightword.training.model import Model

TASKS = ("zeroshot", "retrieval")
OWN = (VALIDATION, TEST)  # names of one's own sets; all others are the reference's
_Z95 = 1.959964
Scored = TypeVar("Scored", Score, Difference)


@dataclass(frozen=True)
class Scoring:
    """How models are scored.

    root: the folder below which published sets are looked for.
    copies: counts test pictures that are trained on.
    """

    root: Path
    say: Callable[[str], None]
    copies: Copies | None = None

    def __call__(self, model: Model, out: Path, places: Sequence[str]) -> None:
        """Score on every place, into `out`; what is scored with these weights already is not scored again.

        What was scored there of a reference that is not asked for any more is forgotten.

        Raises:
            SightwordError: a set is broken, or the disk is full.
        """
        _forget(out, places)
        told = self._told
        done = evaluate_all(model, out, places, TASKS, data_root=self.root, say=told, copies=self.copies)
        if done.failed:
            raise SightwordError(done.failure())
        shutil.rmtree(out / "features", ignore_errors=True)

    def _told(self, line: str) -> None:
        """All but that a set without classes allows no zero-shot: sets are scored as they allow."""
        if not line.startswith("not scored: "):
            self.say(line)


def scores_of(folder: Path, weights_hash: str) -> list[Score]:
    """The newest score of each kind that these weights got, headlines alone."""
    mine = [s for s in read_scores(folder) if s.weights_hash == weights_hash and s.headline]
    return list({(s.dataset, s.split, s.task): s for s in mine}.values())


def own_of(scores: Sequence[Score]) -> Interval:
    """Retrieval on one's own pairs.

    Raises:
        SightwordError: it was not scored.
    """
    found = [s for s in scores if s.dataset in OWN and s.task == "retrieval"]
    if not found:
        raise SightwordError(
            "retrieval on the held-out pairs could not be scored: the model answers no captions"
        )
    return Interval(found[0].value, found[0].low, found[0].high)


def reference_of(scores: Sequence[Score]) -> Interval:
    """The mean over the reference's sets, each by the first of zero-shot and retrieval that it allows.

    Raises:
        SightwordError: none could be scored.
    """
    first = _firsts([s for s in scores if s.dataset not in OWN])
    if not first:
        raise SightwordError(
            "the reference sets have neither classes nor captions, so nothing tells what is forgotten; give"
            " --reference others"
        )
    errors = [(s.high - s.low) / (2 * _Z95) for s in first]
    return _mean([s.value for s in first], errors)


@dataclass(frozen=True)
class Change:
    """What a model gained over another, paired.

    own: retrieval on one's own pairs.
    sets: each set of the reference, by the first of zero-shot and retrieval that it allows.
    """

    own: Interval
    sets: tuple[Difference, ...]

    @classmethod
    def between(cls, first: Path, second: Path) -> Change:
        """Second less first, from what lies in two folders that were scored alike.

        Raises:
            SightwordError: they were not.
        """
        found = differences(first, second, own=True).differences
        own = [d.difference for d in found if d.dataset in OWN and d.task == "retrieval"]
        return cls(own[0], tuple(_firsts([d for d in found if d.dataset not in OWN])))

    @property
    def reference(self) -> Interval:
        """The mean over the reference's sets."""
        if len(self.sets) == 1:
            return self.sets[0].difference
        return _mean([d.difference.value for d in self.sets], [d.error for d in self.sets])

    @property
    def worst(self) -> Difference:
        """The set that is most surely lost on: that of the lowest upper end."""
        return min(self.sets, key=lambda d: d.difference.high)


def _forget(out: Path, places: Sequence[str]) -> None:
    """Drop scores and outcomes of other places, so that nothing counts that is not asked for any more."""
    scores = read_scores(out)
    kept = [s for s in scores if s.dataset in OWN or s.place in places]
    if len(kept) == len(scores):
        return
    write_text(out / FILE, "".join(json.dumps(asdict(score)) + "\n" for score in kept))
    there = {(s.dataset, s.split, s.task) for s in kept}
    for gone in {(s.dataset, s.split, s.task) for s in scores} - there:
        (out / "outcomes" / f"{'-'.join(gone)}.parquet").unlink(missing_ok=True)


def _firsts(found: Sequence[Scored]) -> list[Scored]:
    """Of each set the first task that it was scored on."""
    ordered = sorted(found, key=lambda one: TASKS.index(one.task))
    return list({(one.dataset, one.split): one for one in reversed(ordered)}.values())[::-1]


def _mean(values: Sequence[float], errors: Sequence[float]) -> Interval:
    """Of sets whose pictures are others', so that their chances add up."""
    return normal_interval(math.fsum(values) / len(values), math.hypot(*errors) / len(values))
