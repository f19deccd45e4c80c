"""End-to-end fine-tuning as a task; from fresh weights it is what pre-training is measured against."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from sightword.evaluation.features import Encoder, FeatureStore, transform
from sightword.evaluation.finetune.classifier import TunedClassifier
from sightword.evaluation.finetune.pictures import Taught
from sightword.evaluation.finetune.recipe import FineTuneRecipe, size_of
from sightword.evaluation.finetune.settings import FineTuneSettings
from sightword.evaluation.finetune.tuning import DivergedError, Tuning, precision_of
from sightword.evaluation.heldout import held_out
from sightword.evaluation.keeping import Keeper, Standing, keeper_of
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.measures import classification
from sightword.evaluation.outcomes import classification_table
from sightword.evaluation.probe import chosen_on
from sightword.evaluation.ranking import rank_classes
from sightword.evaluation.task import Answer, Task
from sightword.training.model import Model
from sightword.training.records import digest

Name = Literal["beit", "deit"]
Rows = Int64[np.ndarray, " n"]


@final
class FineTune(Task):
    """Trains the whole tower with a linear head, by BEiT's recipe in the tower's size or by DeiT's.

    Args:
        recipe: `beit`, `deit`, or one of your own; fitted to the training part's size.
        fresh: from weights drawn anew, those from which the run began, without layer decay. All else is the
            same, so that fine-tuned minus fresh is what pre-training gained (`gain.py`).
        factors: of the recipe's learning rate. With more than one, the best on a split of the training part
            is taken, then everything is learned from with it.
        seed: of order, augmentation and head.
    """

    def __init__(
        self,
        recipe: Name | FineTuneRecipe = "beit",
        *,
        fresh: bool = False,
        factors: Sequence[float] = (1.0,),
        seed: int = 0,
    ) -> None:
        self.recipe, self.fresh = recipe, fresh
        self.settings = FineTuneSettings(factors=tuple(factors), seed=seed)
        kind = recipe if isinstance(recipe, str) else recipe.name
        self.name = f"finetune{'' if kind == 'beit' else f'-{kind}'}{'-scratch' if fresh else ''}"

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        if not isinstance(model, Model):
            return "the model gives no access to its weights; give a run of `sightword train`"
        if test.probed is None:
            return "the set has no classes"
        if train is None or train.probed is None:
            return "there is no train split to learn from"
        return "" if len(set(train.probed.of.tolist())) > 1 else "the train split holds only one class"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        assert isinstance(model, Model)
        assert train is not None
        assert test.probed is not None
        own, seed = train.validation, self.settings.seed
        return {
            "transform": transform(model),
            "target": "groups" if test.groups is not None else "classes",
            "labels": len(test.probed.names),
            "train_data_hash": train.data_hash,
            **(chosen_on(train) if len(self.settings.factors) > 1 else {"chosen_on": "nothing was chosen"}),
            "start": f"fresh weights of seed {model.config.seed + seed}" if self.fresh else "the run's",
            "factors": list(self.settings.factors),
            "recipe": self._recipe(model, len(train) + (len(own) if own is not None else 0)).record(),
            "precision": precision_of(model),
            "seed": seed,
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        assert train is not None
        assert test.probed is not None
        protocol = self.protocol(features.model, test, train)
        name = f"{self.name} {digest(json.dumps(protocol, sort_keys=True))}"
        keeper = keeper_of(features, train, self.name, protocol)
        tuning, classifier, chosen = features.once(name, lambda: self._tuned(features, train, keeper))
        rows = features.of(test, "pooled").rows
        truth = test.probed.of[rows]
        ranked = rank_classes(tuning.predict(classifier, test, rows), torch.from_numpy(truth))
        clusters = test.clusters_of(rows)
        return Answer(
            classification(ranked.rank, truth, len(test.probed.names), clusters),
            classification_table(test.keys_of(rows), truth, ranked, clusters),
            test.probed.names,
            chosen,
        )

    def _recipe(self, model: Model, samples: int) -> FineTuneRecipe:
        if isinstance(self.recipe, FineTuneRecipe):
            recipe = self.recipe
        elif self.recipe == "beit":
            recipe = FineTuneRecipe.beit(size_of(model.config.model.image))
        else:
            recipe = FineTuneRecipe.deit()
        fitted = self.settings.of(recipe).fitted(samples)
        return fitted.from_scratch() if self.fresh else fitted

    def _tuned(
        self, features: FeatureStore, train: LabelledSet, keeper: Keeper
    ) -> tuple[Tuning, TunedClassifier, Mapping[str, Any]]:
        """Choose the learning rate where there is a choice, then learn from everything."""
        assert isinstance(features.model, Model)
        assert train.probed is not None
        (taught, held), seed = pool(features, train), self.settings.seed
        recipe = self._recipe(features.model, len(train) + (len(train.validation) if train.validation else 0))
        tuning = Tuning(features.model, taught, len(train.probed.names), recipe, seed, self.fresh)
        standing = keeper.standing() or Standing()
        if len(self.settings.factors) > 1:
            standing = self._choose(tuning, held, train, keeper, standing)
        scored = standing.scored
        best = max(self.settings.factors, key=lambda factor: (scored.get(str(factor), 0.0), -factor))
        what = f"{self.name} {train.name}"
        whole = np.arange(len(taught))
        classifier = tuning.train(whole, best, keeper, standing, what)
        rates = {f"{recipe.at(factor).lr:g}": scored.get(str(factor)) for factor in self.settings.factors}
        held_out_scores = rates if len(self.settings.factors) > 1 else None
        return tuning, classifier, {"lr": recipe.at(best).lr, "factor": best, "held_out": held_out_scores}

    def _choose(
        self,
        tuning: Tuning,
        held: Bool[np.ndarray, " n"],
        train: LabelledSet,
        keeper: Keeper,
        standing: Standing,
    ) -> Standing:
        """Try each learning rate that was not tried yet; a rate that diverges scores nothing."""
        rest, asked = np.flatnonzero(~held), np.flatnonzero(held)
        for number, factor in enumerate(self.settings.factors, start=1):
            if str(factor) in standing.scored:
                continue
            standing = standing.at(str(factor))
            what = f"{self.name} {train.name}, learning rate {number} of {len(self.settings.factors)}"
            try:
                classifier = tuning.train(rest, factor, keeper, standing, what)
                truth = tuning.taught.labels[asked]
                scores = tuning.predict_taught(classifier, asked)
                score = held_out_score(scores, truth, train.metric)
            except DivergedError:
                score = 0.0
            standing = Standing({**standing.scored, str(factor): score})
        return standing


def pool(features: FeatureStore, train: LabelledSet) -> tuple[Taught, Bool[np.ndarray, " n"]]:
    """All that may be learned from, and True for what settings are chosen on.

    The publisher's validation split where there is one, otherwise a fifth of the training part.
    """
    rows = features.of(train, "pooled").rows
    if train.validation is None:
        return Taught([(train, rows)]), held_out(train, rows)
    more = features.of(train.validation, "pooled").rows
    both = Taught([(train, rows), (train.validation, more)])
    return both, np.repeat([False, True], [len(rows), len(more)])


def held_out_score(scores: Float32[np.ndarray, "n c"], truth: Rows, metric: str) -> float:
    """What a learning rate is chosen by: the mean over classes where the set is scored so, else accuracy."""
    right = scores.argmax(axis=1) == truth
    if metric != "mean_per_class_recall":
        return float(right.mean())
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))
