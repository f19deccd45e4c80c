"""Nearest neighbours, weighted by cosine (Wu et al. 2018, 1805.01978, section 3.4; DINO's evaluation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from sightword.evaluation.features import Encoder
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.probe import Asked, Classifier, Held, Known, Learner, Of

TEMPERATURE = 0.07
NEIGHBOURS = (1, 2, 5, 10, 20, 50, 100, 200)
ROWS = 512


@final
class KNN(Learner):
    """The number of neighbours is chosen on a split of the training part; the temperature is the paper's."""

    name = "knn"

    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        sweep = {"temperature": TEMPERATURE, "k_among": list(NEIGHBOURS), "distance": "cosine"}
        return {**super().protocol(model, test, train), **sweep}

    def choose(self, features: Known, labels: Of, held: Held, classes: int) -> Mapping[str, Any]:
        """The smallest k among those that do best."""
        rest, left = ~held, int((~held).sum())
        if not held.any():
            return {"k": 1, "held_out_acc1": None}
        similar, near = neighbours(features[rest], features[held], min(max(NEIGHBOURS), left))
        votes = torch.from_numpy(labels[rest])[near]
        truth = torch.from_numpy(labels[held])
        right = {
            k: float((vote(similar[:, :k], votes[:, :k], classes).argmax(1) == truth).float().mean())
            for k in NEIGHBOURS
            if k <= left
        }
        best = max(right, key=lambda k: (right[k], -k))
        return {"k": best, "held_out_acc1": right[best]}

    def fit(self, known: Known, labels: Of, classes: int, chosen: Mapping[str, Any]) -> Classifier:
        def classify(asked: Asked) -> Float[Tensor, "m c"]:
            similar, near = neighbours(known, asked, int(chosen["k"]))
            return vote(similar, torch.from_numpy(labels)[near], classes).log()

        return classify


def neighbours(known: Known, asked: Asked, k: int) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
    """The cosines and positions of the k nearest known features, nearest first."""
    base = F.normalize(torch.from_numpy(known), dim=-1)
    parts = [
        (F.normalize(rows, dim=-1) @ base.T).topk(k, dim=1) for rows in torch.from_numpy(asked).split(ROWS)
    ]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def vote(similar: Float[Tensor, "m k"], labels: Int64[Tensor, "m k"], classes: int) -> Float[Tensor, "m c"]:
    """The share of each class in the neighbours' votes, which weigh exp(cosine / temperature)."""
    weights = ((similar.double() - similar[:, :1].double()) / TEMPERATURE).exp()
    votes = torch.zeros(len(similar), classes, dtype=torch.float64).scatter_add_(1, labels, weights)
    return votes / votes.sum(dim=1, keepdim=True)
