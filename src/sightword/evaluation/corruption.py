"""Robustness: how accuracy falls as pictures are corrupted more and more (ImageNet-C, 1903.12261)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from sightword.errors import SightwordError, unknown
from sightword.evaluation.corruptions.all import CORRUPTIONS, SEVERITIES, corrupted
from sightword.evaluation.features import Encoder, Features, FeatureStore, Kind, extract, preparation_of
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.linear import Linear
from sightword.evaluation.measures import Measured, credit, share
from sightword.evaluation.probe import Asked
from sightword.evaluation.progress import watched
from sightword.evaluation.ranking import rank_classes
from sightword.evaluation.task import Answer, Task
from sightword.evaluation.zeroshot import SCALE, ZeroShot, class_embeddings, prompts_of
from sightword.randomness import stream, uniform
from sightword.statistics import Interval, bootstrap_mean, wilson
from sightword.training.records import digest
from sightword.views.decode import decode
from sightword.views.evaluation import Preparation

Classify = Callable[[Asked], Float[Tensor, "m c"]]
CLEAN, WORN, LOST = "acc1_clean", "acc1_corrupted", "acc1_lost"


@dataclass(frozen=True)
class Which:
    """What to corrupt, and how: every picture by each of the corruptions at each severity.

    pictures: how many of the test pictures, drawn once for all; 0 is all of them.
    """

    corruptions: tuple[str, ...] = tuple(CORRUPTIONS)
    severities: tuple[int, ...] = SEVERITIES
    pictures: int = 0

    def __post_init__(self) -> None:
        for name in self.corruptions:
            if name not in CORRUPTIONS:
                raise unknown("corruption", name, CORRUPTIONS)
        if not self.corruptions or not set(self.severities) <= set(SEVERITIES) or self.pictures < 0:
            raise SightwordError(
                f"cannot corrupt {self.pictures} pictures by {len(self.corruptions)} corruptions at"
                f" severities {self.severities}; wanted one corruption at least, severities of {SEVERITIES},"
                " and 0 pictures (all) or more"
            )

    def conditions(self) -> list[tuple[str, int]]:
        """Each corruption at each severity."""
        return [(corruption, severity) for corruption in self.corruptions for severity in self.severities]

    def rows(self, count: int) -> Int64[np.ndarray, " m"]:
        """The positions of the pictures that are taken of so many, ascending."""
        order = np.argsort(
            uniform(0, stream("corrupted pictures"), np.arange(count), 0, 1)[:, 0], kind="stable"
        )
        return np.sort(order[: self.pictures or count])


@final
class Corruption(Task):
    """Accuracy of zero-shot classification, or of the linear probe, on corrupted test pictures.

    What classifies is made of clean pictures. Pictures are corrupted as the model would see them, after
    resizing and cropping, as ImageNet-C's were. Deviation: its mean corruption error divides each
    corruption's error by AlexNet's; here `acc1_lost` is the accuracy on clean pictures less the mean over
    all conditions, the numerator of its relative mean corruption error. Frost is left out (see
    `corruptions.weather`).
    """

    def __init__(self, probe: bool = False, which: Which | None = None) -> None:
        self.probe, self.settings = probe, which or Which()
        self.name = "corruption-linear" if probe else "corruption"
        self._clean: Task = Linear() if probe else ZeroShot()

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        return self._clean.refuses(model, test, train)

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        return {
            **self._clean.protocol(model, test, train),
            **asdict(self.settings),
            "corrupted": "after resize and crop; lengths of ImageNet-C's parameters in proportion to 224 px",
            "left_out": ["frost"],
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        labels = test.probed if self.probe else test.classes
        assert labels is not None
        rows, classify = self.settings.rows(len(test)), self._classifier(features, test, train)
        facts = json.dumps(self.protocol(features.model, test, train), sort_keys=True)
        found = features.of(test, self._kind)
        taken = np.isin(found.rows, rows)
        clean = Features(found.rows[taken], {self._kind: found.values[self._kind][taken]}, ())
        truth = labels.of[clean.rows]
        right = {CLEAN: _right(classify, clean.values[self._kind], truth)}
        conditions, names = self.settings.conditions(), list[str]()
        for corruption, severity in watched(conditions, len(conditions), f"corruptions of {test.name}"):
            worn = worn_set(test, rows, preparation_of(features.model), corruption, severity)
            names.append(f"{test.name}-{worn.split}-{self.name}")
            right[f"acc1_{corruption}_{severity}"] = features.kept(
                names[-1],
                f"{test.data_hash} {digest(facts)}",
                lambda worn=worn: self._answers(features.model, worn, clean, classify, truth),  # type: ignore[misc]
            )
        answer = self._answer(test, clean.rows, truth, right, labels.names)
        for name in names:
            features.drop(name)
        return answer

    @property
    def _kind(self) -> Kind:
        return "pooled" if self.probe else "projected"

    def _classifier(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Classify:
        if self.probe:
            assert train is not None
            return Linear().learned(features, train)[1]
        embeddings = class_embeddings(features.model.encode_text, prompts_of(test))
        return lambda asked: SCALE * F.normalize(torch.from_numpy(asked), dim=-1) @ embeddings.T

    def _answers(
        self,
        model: Encoder,
        worn: LabelledSet,
        clean: Features,
        classify: Classify,
        truth: Int64[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        found = extract(model, worn, self._kind)
        assert len(found.rows) == len(clean.rows), "what can be read does not hang on its corruption"
        return _right(classify, found.values[self._kind], truth)

    def _answer(
        self,
        test: LabelledSet,
        rows: Int64[np.ndarray, " n"],
        truth: Int64[np.ndarray, " n"],
        right: Mapping[str, Bool[np.ndarray, " n"]],
        names: tuple[str, ...],
    ) -> Answer:
        clusters, keys = test.clusters_of(rows), test.keys_of(rows)
        means = averaged(self.settings, right)
        lost = right[CLEAN] - means[WORN]
        measured = (
            credit(WORN, means.pop(WORN), clusters),
            share(CLEAN, right[CLEAN], clusters),
            _lost(lost, clusters),
            *(credit(name, values, clusters) for name, values in means.items()),
            *(share(name, values, clusters) for name, values in right.items() if name != CLEAN),
        )
        columns = {WORN: right[CLEAN] - lost, LOST: lost, **means, **right}
        named = pa.array(clusters, pa.string()) if clusters else pa.nulls(len(keys), pa.string())
        table = pa.table({"key": pa.array(keys, pa.string()), "cluster": named, "label": truth, **columns})
        return Answer(measured, table, names)


def worn_set(
    test: LabelledSet,
    rows: Int64[np.ndarray, " m"],
    prepared: Preparation,
    corruption: str,
    severity: int,
) -> LabelledSet:
    """Some of a set's pictures as a model sees them, corrupted."""

    def read(i: int) -> np.ndarray:
        row = int(rows[i])
        picture = test.read(row)
        pixels = decode(picture, test.keys[row]) if isinstance(picture, bytes) else picture
        square = prepared([pixels])[0].permute(1, 2, 0).contiguous().numpy()
        return corrupted(square, corruption, severity, test.keys[row])

    bare = {"classes": None, "groups": None, "synonyms": (), "captions": (), "clusters": (), "wordings": ()}
    split = f"{test.split}-{corruption}-{severity}"
    return replace(test, split=split, keys=tuple(test.keys_of(rows)), read=read, **bare)  # type: ignore[arg-type]


def averaged(
    which: Which, right: Mapping[str, Bool[np.ndarray, " n"]]
) -> dict[str, Float64[np.ndarray, " n"]]:
    """For each picture in what share of conditions it was right: of all, of a severity, of a corruption."""

    def mean(names: Sequence[str]) -> Float64[np.ndarray, " n"]:
        return np.mean([right[name] for name in names], axis=0)

    return {
        WORN: mean([f"acc1_{c}_{s}" for c, s in which.conditions()]),
        **{
            f"acc1_severity_{s}": mean([f"acc1_{c}_{s}" for c in which.corruptions]) for s in which.severities
        },
        **{f"acc1_{c}": mean([f"acc1_{c}_{s}" for s in which.severities]) for c in which.corruptions},
    }


def _right(classify: Classify, values: Asked, truth: Int64[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    return rank_classes(classify(values), torch.from_numpy(truth)).rank == 1


def _lost(values: Float64[np.ndarray, " n"], clusters: Sequence[str]) -> Measured:
    """The mean of what each picture lost; where all lost the same, as sure as their number makes it."""
    over = " over clusters" if clusters else ""
    if np.ptp(values) > 0:
        interval = bootstrap_mean(values, clusters=np.asarray(clusters) if clusters else None)
        return Measured(LOST, interval, len(values), f"bca bootstrap{over}")
    value, slack = float(values[0]), wilson(0, len(set(clusters)) or len(values)).high
    return Measured(LOST, Interval(value, value - slack, value + slack), len(values), f"wilson{over}")
