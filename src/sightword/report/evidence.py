"""The set that a page shows pictures of, and what each run kept about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.features import read_features
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.outcomes import Outcomes, read_outcomes
from sightword.report.records import Measure, Run, measures
from sightword.report.thumbnails import Thumbnails


@dataclass(frozen=True)
class Space:
    """One run's features of one set: the tower's own where they were kept, else those of the joint space."""

    keys: Sequence[str]
    features: Float32[np.ndarray, "n d"]


@dataclass(frozen=True)
class Shown:
    """The split that the page shows, and the one that pictures were learned from, where there is one."""

    place: str
    test: LabelledSet
    train: LabelledSet | None
    pictures: Thumbnails
    learned: Thumbnails | None

    def keys_used(self) -> set[str]:
        """Keys of every picture that was put into the page."""
        return self.pictures.used | (self.learned.used if self.learned else set())


def deciding(runs: Sequence[Run]) -> Measure | None:
    """The measure by which the page decides: the first zero-shot accuracy on record, or else the first score.

    The order is that of evaluation, so nobody can choose it after seeing the numbers.
    """
    scored = measures(runs)
    return next(
        (m for m in scored if m.task == "zeroshot" and m.metric == "acc1"), scored[0] if scored else None
    )


def place_of(runs: Sequence[Run], measure: Measure) -> str:
    """Where the data of a measure lies, as evaluation wrote it down."""
    scores = (run.final.get(measure) for run in runs)
    return next((str(s.record["place"]) for s in scores if s and s.record.get("place")), measure.dataset)


def open_shown(measure: Measure, place: str) -> Shown:
    """The pictures behind a measure.

    Raises:
        SightwordError: when the data is not where it was, or is not what it was.
    """
    benchmark = open_benchmark(place)
    test = next((test for test in benchmark.tests if test.split == measure.split), None)
    if test is None:
        raise SightwordError(
            f"'{place}' no longer has a split '{measure.split}'; put the data back as it was"
        )
    train = benchmark.train
    return Shown(place, test, train, thumbnails(test), thumbnails(train) if train else None)


def thumbnails(labelled: LabelledSet) -> Thumbnails:
    """The pictures of a set by key, each said to show its first caption, or else its class."""
    row = {key: i for i, key in enumerate(labelled.keys)}
    return Thumbnails(lambda key: labelled.file(row[key]), captions(labelled))


def captions(labelled: LabelledSet) -> Mapping[str, str]:
    """One caption for each key."""
    if labelled.captions:
        return {key: said[0] for key, said in zip(labelled.keys, labelled.captions, strict=True) if said}
    if labelled.classes is None:
        return {}
    names = labelled.classes.names
    return {
        key: names[of] for key, of in zip(labelled.keys, labelled.classes.of.tolist(), strict=True) if of >= 0
    }


def space(run: Run, labelled: LabelledSet) -> Space | None:
    """A run's features of a set; None when it kept none."""
    file = run.path / "features" / f"{labelled.name}-{labelled.split}.safetensors"
    if not file.is_file():
        return None
    tensors, about = read_features(file)
    features = tensors.get("pooled", tensors.get("projected"))
    return None if features is None else Space(json.loads(about["keys"]), features)


def groups(labelled: LabelledSet, keys: Sequence[str]) -> list[str]:
    """What a map colours each picture by: its group, or its class when there are few of them."""
    labels = labelled.groups or labelled.classes
    if labels is None or len(labels.names) > 24:
        return ["pictures"] * len(keys)
    of = dict(zip(labelled.keys, labels.of.tolist(), strict=True))
    return [labels.names[of[key]] if of[key] >= 0 else "unlabelled" for key in keys]


def outcomes(run: Run, dataset: str, split: str, task: str) -> Outcomes | None:
    """A run's outcomes of a task on a split; None when it kept none."""
    file = run.path / "outcomes" / f"{dataset}-{split}-{task}.parquet"
    return read_outcomes(file) if file.is_file() else None
