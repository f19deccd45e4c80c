"""Visual question answering as a task: answers chosen by a light head over both encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int64

from sightword.evaluation.features import Encoder, FeatureStore, transform
from sightword.evaluation.heldout import SHARE
from sightword.evaluation.keeping import keeper_of
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.task import Answer, Task
from sightword.evaluation.vqa.choosing import Learning
from sightword.evaluation.vqa.head import Head, Scale
from sightword.evaluation.vqa.learning import Answerer, Pool, predict, seeded
from sightword.evaluation.vqa.measuring import Answered, measured, outcomes_table
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.reading import QuestionFeatures
from sightword.evaluation.vqa.recipe import FINE_TUNED, FROZEN, SEED, Recipe
from sightword.evaluation.vqa.seeing import Kept, Seeing, Trained
from sightword.evaluation.vqa.vocabulary import Vocabulary
from sightword.training.model import Model


@final
class VQA(Task):
    """VQA v2, GQA and CLEVR, as MAE-CLIP (2301.07836) evaluates; with `tuned`, the encoders learn too.

    Beside each accuracy stands what the same recipe reaches without the picture, because much can be
    answered from the question alone.
    """

    def __init__(self, tuned: bool = False, recipe: Recipe | None = None) -> None:
        self.tuned = tuned
        self.name = "vqa-finetuned" if tuned else "vqa"
        self.settings = recipe or (FINE_TUNED if tuned else FROZEN)

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        if not isinstance(test, QuestionSet):
            return "the set asks no questions"
        if not isinstance(model, Model) or "text" not in model.encoders.towers:
            return "the run has no text tower"
        return "" if isinstance(train, QuestionSet) else "there is no train split to learn from"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        assert isinstance(model, Model)
        assert isinstance(test, QuestionSet)
        assert isinstance(train, QuestionSet)
        own, recipe = train.validation, asdict(self.settings) | {"precision": str(self._precision(model))}
        chosen_on = f"{SHARE:g} of the train split's pictures" if own is None else f"the {own.split} split"
        return {
            "transform": transform(model),
            "features": "pooled, of pictures and questions",
            "encoders": "fine-tuned" if self.tuned else "frozen",
            "head": "standardised [i, q, i * q, |i - q|], one hidden layer",
            "loss": "binary cross-entropy" if test.rule.soft else "cross-entropy",
            "answers": len(Vocabulary.of(train).answers),
            "least": test.rule.least,
            "right": test.rule.name,
            "train_data_hash": train.data_hash,
            "chosen_on": chosen_on,
            "validation_data_hash": None if own is None else own.data_hash,
            "recipe": {name: list(v) if isinstance(v, tuple) else v for name, v in recipe.items()},
            "seed": SEED,
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        assert isinstance(test, QuestionSet)
        assert isinstance(train, QuestionSet)
        vocabulary, protocol = Vocabulary.of(train), self.protocol(features.model, test, train)
        pool, known = _pool(features, test, vocabulary), _pool(features, train, vocabulary)
        own = train.validation
        held = _pool(features, own, vocabulary) if isinstance(own, QuestionSet) else None
        ids, chosen = dict[bool, Int64[np.ndarray, " n"]](), dict[str, Mapping[str, Any]]()
        for blind in (False, True):
            name = "question only" if blind else "looking"
            what = f"{test.name} {self.name}{', without pictures' if blind else ''}"
            keeper = keeper_of(features, train, self.name, protocol, name.replace(" ", "-"))
            make = self._maker(features, known, vocabulary, blind)
            learning = Learning(make, vocabulary, self.settings, _device(features), what, keeper)
            answerer, chosen[name] = learning.best(known, held)
            ids[blind] = predict(answerer, pool, _device(features), what)
        answered = Answered(pool, vocabulary, ids[False], ids[True])
        choices = {**chosen["looking"], "question_only": chosen["question only"]}
        return Answer(measured(answered), outcomes_table(answered), vocabulary.answers, choices)

    def _maker(
        self, features: FeatureStore, known: Pool, vocabulary: Vocabulary, blind: bool
    ) -> Callable[[], Answerer]:
        """Makes the same untrained answerer each time."""
        seen = features.of(known.part, "pooled").values["pooled"]
        asked = _questions(features).of(known.part, known.rows)
        scales = Scale.of(torch.from_numpy(seen)), Scale.of(asked)
        device = _device(features)

        def make() -> Answerer:
            with seeded(device, "head"):
                head = Head(*scales, len(vocabulary.answers), self.settings)
            return Answerer(self._seeing(features, blind), head).to(device)

        return make

    def _seeing(self, features: FeatureStore, blind: bool) -> Seeing:
        if not self.tuned:
            return Kept(features, _questions(features), blind)
        model = features.model
        assert isinstance(model, Model)
        return Trained(model, blind, self._precision(model))

    def _precision(self, model: Model) -> torch.dtype:
        wish = self.settings.precision
        if wish == "auto":
            wish = "bf16" if self.tuned and model.device.type == "cuda" else "fp32"
        return {"fp32": torch.float32, "bf16": torch.bfloat16}[wish]


def _pool(features: FeatureStore, part: QuestionSet, vocabulary: Vocabulary) -> Pool:
    """The questions about pictures that can be read."""
    readable = np.isin(part.questions.of, features.of(part, "pooled").rows)
    return Pool(part, np.flatnonzero(readable), vocabulary.targets(part))


def _questions(features: FeatureStore) -> QuestionFeatures:
    return features.once("question features", lambda: QuestionFeatures(features))


def _device(features: FeatureStore) -> torch.device:
    assert isinstance(features.model, Model)
    return features.model.device
