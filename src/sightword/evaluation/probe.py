"""What kNN and the linear probe share: both learn a training part's labels from the tower's own feature."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from sightword.evaluation.features import Encoder, FeatureStore, transform
from sightword.evaluation.heldout import SHARE, held_out
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.measures import classification
from sightword.evaluation.outcomes import classification_table
from sightword.evaluation.ranking import rank_classes
from sightword.evaluation.task import Answer, Task

Known = Float32[np.ndarray, "n d"]  # features whose labels are known
Asked = Float32[np.ndarray, "m d"]
Of = Int64[np.ndarray, " n"]
Held = Bool[np.ndarray, " n"]
Classifier = Callable[[Asked], Float[Tensor, "m c"]]  # scores of each class; their softmax is the probability


class Learner(Task):
    """Learns from the training part. A subclass says how to choose its setting and how to score."""

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        return why_not(test, train)

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        assert train is not None
        assert test.probed is not None
        return {
            "transform": transform(model),
            "features": "pooled",
            "target": "groups" if test.groups is not None else "classes",
            "labels": len(test.probed.names),
            "train_data_hash": train.data_hash,
            **chosen_on(train),
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        assert train is not None
        assert test.probed is not None
        asked = features.of(test, "pooled")
        chosen, classify = self.learned(features, train)
        return classified(test, asked.rows, classify(asked.values["pooled"]), chosen)

    def learned(self, features: FeatureStore, train: LabelledSet) -> tuple[Mapping[str, Any], Classifier]:
        """What was chosen, and the classifier; made once for all that asks."""
        validation = train.validation.data_hash if train.validation else ""
        name = f"{self.name} {train.data_hash} {validation}"
        return features.once(name, lambda: self._learn(features, train))

    def _learn(self, features: FeatureStore, train: LabelledSet) -> tuple[Mapping[str, Any], Classifier]:
        """Choose on a split of the training part, then learn from the whole; once for all test splits."""
        assert train.probed is not None
        known, labels, held = taught(features, train)
        chosen = self.choose(known, labels, held, len(train.probed.names))
        return chosen, self.fit(known, labels, len(train.probed.names), chosen)

    @abstractmethod
    def choose(self, features: Known, labels: Of, held: Held, classes: int) -> Mapping[str, Any]:
        """The setting that does best on the held-out part when learned from the rest."""

    @abstractmethod
    def fit(self, known: Known, labels: Of, classes: int, chosen: Mapping[str, Any]) -> Classifier:
        """A classifier of features, learned with the chosen setting."""


def why_not(test: LabelledSet, train: LabelledSet | None) -> str:
    """Why nothing can be learned, in a few words; empty when it can."""
    if test.probed is None:
        return "the set has no classes"
    if train is None or train.probed is None:
        return "there is no train split to learn from"
    return "" if len(set(train.probed.of.tolist())) > 1 else "the train split holds only one class"


def classified(
    test: LabelledSet, rows: Int64[np.ndarray, " m"], scores: Float[Tensor, "m c"], chosen: Mapping[str, Any]
) -> Answer:
    """The answer of a classifier.

    Args:
        test: the set, whose probed labels are the truth.
        rows: which of its pictures were classified.
        scores: of each class; their softmax is the probability.
        chosen: what was chosen on the way.
    """
    assert test.probed is not None
    truth, clusters = test.probed.of[rows], test.clusters_of(rows)
    ranked = rank_classes(scores, torch.from_numpy(truth))
    return Answer(
        classification(ranked.rank, truth, len(test.probed.names), clusters),
        classification_table(test.keys_of(rows), truth, ranked, clusters),
        test.probed.names,
        chosen,
    )


def chosen_on(train: LabelledSet) -> dict[str, Any]:
    """On what settings are chosen, as a record."""
    if train.validation is None:
        return {"chosen_on": f"{SHARE:g} of the train split"}
    return {
        "chosen_on": f"the {train.validation.split} split, learned from with the rest once they are chosen",
        "validation_data_hash": train.validation.data_hash,
    }


def taught(features: FeatureStore, train: LabelledSet) -> tuple[Known, Of, Held]:
    """What may be learned from: features, labels, and which of them settings are chosen on.

    That is the publisher's validation split where there is one, otherwise a fifth of the training part.
    """
    assert train.probed is not None
    found = features.of(train, "pooled")
    known, labels = found.values["pooled"], train.probed.of[found.rows]
    if train.validation is None:
        return known, labels, held_out(train, found.rows)
    assert train.validation.probed is not None
    more = features.of(train.validation, "pooled")
    held = np.repeat([False, True], [len(found.rows), len(more.rows)])
    all_labels = np.concatenate([labels, train.validation.probed.of[more.rows]])
    return np.concatenate([known, more.values["pooled"]]), all_labels, held
