"""Image-text retrieval both ways: recall at 1, 5 and 10, with any number of captions a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import pyarrow as pa
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightword.evaluation.features import Encoder, FeatureStore, transform
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.measures import retrieval
from sightword.evaluation.outcomes import retrieval_table
from sightword.evaluation.ranking import Found, best_hit
from sightword.evaluation.task import Answer, Task
from sightword.evaluation.zeroshot import TEXTS

ROWS = 512  # queries at a time


@final
class Retrieval(Task):
    """A query hits when any of its answers is among the k nearest (recall as CLIP's papers use the word).

    Captions of equal wording are one caption that belongs to several pictures, where CLIP_benchmark counts
    each copy apart; without such captions the numbers are the same.
    """

    name = "retrieval"

    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        if not model.has_text:
            return "the run has no text tower"
        return "" if test.captions else "the set has no captions"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        return {
            "transform": transform(model),
            "features": "projected",
            "hit": "any of the query's answers among the k nearest by cosine",
            "equal_captions": "merged",
            "ties": "to the lower id",
        }

    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        found = features.of(test, "projected")
        captions = [test.captions[row] for row in found.rows]
        texts = list(dict.fromkeys(caption for mine in captions for caption in mine))
        parts = [features.model.encode_text(texts[i : i + TEXTS]) for i in range(0, len(texts), TEXTS)]
        images, words = torch.from_numpy(found.values["projected"]), torch.cat(parts)
        owns = ownership(captions, texts)
        by_image, by_text = search(images, words, owns), search(words, images, owns.T)
        keys = test.keys_of(found.rows)
        clusters = test.clusters_of(found.rows) or keys
        first = owns.int().argmax(dim=0)  # a caption errs together with the first picture that carries it
        text_clusters = [clusters[int(i)] for i in first]
        measured = (
            *retrieval("text", by_image.rank, _needed(clusters)),
            *retrieval("image", by_text.rank, _needed(text_clusters)),
        )
        tables = [
            retrieval_table("text", keys, texts, owns, by_image, clusters),
            retrieval_table("image", texts, keys, owns.T, by_text, text_clusters),
        ]
        return Answer(measured, pa.concat_tables(tables), ())


def ownership(captions: Sequence[Sequence[str]], texts: Sequence[str]) -> Bool[Tensor, "n m"]:
    """Which picture carries which caption."""
    position = {text: i for i, text in enumerate(texts)}
    owns = torch.zeros(len(captions), len(texts), dtype=torch.bool)
    for i, mine in enumerate(captions):
        owns[i, [position[caption] for caption in mine]] = True
    return owns


def search(queries: Float[Tensor, "q e"], answers: Float[Tensor, "m e"], hits: Bool[Tensor, "q m"]) -> Found:
    """Rank all answers for each query by cosine of the (already unit) vectors."""
    ranks, tops, cosines = [], [], []
    for rows in torch.arange(len(queries)).split(ROWS):
        scores = queries[rows] @ answers.T
        rank, top = best_hit(scores, hits[rows])
        ranks.append(rank)
        tops.append(top)
        cosines.append(scores.gather(1, top))
    return Found(torch.cat(ranks).numpy(), torch.cat(tops).numpy(), torch.cat(cosines).numpy())


def _needed(clusters: Sequence[str]) -> Sequence[str]:
    """No clusters at all where each holds one query."""
    return clusters if len(set(clusters)) < len(clusters) else ()
