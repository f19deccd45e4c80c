"""Zero-shot classification: the class whose name lies nearest to the picture (CLIP, 2103.00020, 3.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.features import Encoder, FeatureStore, transform
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.measures import classification
from sightword.evaluation.outcomes import classification_table
from sightword.evaluation.ranking import Ranked, join, rank_classes
from sightword.evaluation.task import Answer, Task
from sightword.training.records import digest

SCALE = 100.0  # of the cosines, for probabilities only: CLIP's limit, and CLIP_benchmark's choice
ROWS = 1024  # pictures compared at a time
TEXTS = 1024  # prompts encoded at a time
_PLACE = re.compile(r"\{c?\}")


@final
class ZeroShot(Task):
    """Prompts from the set's templates and class names; with `synonyms`, from synonyms too."""

    def __init__(self, synonyms: bool = False) -> None:
        self.synonyms = synonyms
        self.name = "zeroshot-synonyms" if synonyms else "zeroshot"

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        if not model.has_text:
            return "the run has no text tower"
        if test.classes is None:
            return "the set has no classes"
        if self.synonyms and not any(test.synonyms):
            return "the set names no synonyms"
        return ""

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        prompts = prompts_of(test, self.synonyms)
        return {
            "transform": transform(model),
            "features": "projected",
            "templates": list(test.templates),
            "names": "class name and synonyms" if self.synonyms else "class name",
            "class_embedding": "normalise each prompt, mean, renormalise",
            "classes": len(prompts),
            "prompts_hash": digest(repr(prompts)),
            "ties": "to the lower class",
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        assert test.classes is not None
        found = features.of(test, "projected")
        embeddings = class_embeddings(features.model.encode_text, prompts_of(test, self.synonyms))
        labels = test.classes.of[found.rows]
        images = torch.from_numpy(found.values["projected"])
        ranked = nearest_class(images, embeddings, torch.from_numpy(labels))
        clusters = test.clusters_of(found.rows)
        return Answer(
            classification(ranked.rank, labels, len(test.classes.names), clusters),
            classification_table(test.keys_of(found.rows), labels, ranked, clusters),
            test.classes.names,
        )


def prompts_of(test: LabelledSet, synonyms: bool = False) -> list[list[str]]:
    """For each class its prompts: every template filled with every name.

    Raises:
        SightwordError: when a template has no place for the name.
    """
    assert test.classes is not None
    others = test.synonyms if synonyms else ((),) * len(test.classes.names)
    own = test.wordings or [(name,) for name in test.classes.names]
    named = [dict.fromkeys((*names, *more)) for names, more in zip(own, others, strict=True)]
    return [
        [filled(template, name, test.name) for name in names for template in test.templates]
        for names in named
    ]


def class_embeddings(
    encode_text: Callable[[Sequence[str]], Tensor], prompts: Sequence[Sequence[str]]
) -> Float[Tensor, "c e"]:
    """One unit vector for each class: its prompts' unit vectors, averaged and normalised again."""
    distinct = list(dict.fromkeys(chain.from_iterable(prompts)))
    position = {prompt: i for i, prompt in enumerate(distinct)}
    parts = [encode_text(distinct[start : start + TEXTS]) for start in range(0, len(distinct), TEXTS)]
    texts = F.normalize(torch.cat(parts).float(), dim=-1)
    means = [texts[[position[prompt] for prompt in mine]].mean(dim=0) for mine in prompts]
    return F.normalize(torch.stack(means), dim=-1)


def nearest_class(
    images: Float[Tensor, "n e"], classes: Float[Tensor, "c e"], labels: Int64[Tensor, " n"]
) -> Ranked:
    """Rank the classes of each picture by cosine."""

    def parts() -> Iterator[Ranked]:
        for rows in torch.arange(len(images)).split(ROWS):
            yield rank_classes(SCALE * F.normalize(images[rows], dim=-1) @ classes.T, labels[rows])

    return join(list(parts()))


def filled(template: str, name: str, where: str) -> str:
    """The template with the name in its place; `where` says whose template it is.

    Raises:
        SightwordError: it has no place for the name.
    """
    if not _PLACE.search(template):
        raise SightwordError(f"template '{template}' of {where} has no place for a name; write {{}} or {{c}}")
    return _PLACE.sub(lambda _: name, template)
