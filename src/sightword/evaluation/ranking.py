"""From scores of classes to ranks, predictions and the five best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor

TOP = 5


@dataclass(frozen=True, eq=False)
class Ranked:
    """What a classifier said of n pictures; t is 5, or the number of classes when there are fewer.

    rank: of the true class, from 1; the class itself is right when it is 1.
    top: the best classes, best first.
    probability: of each of those.
    score: of two classes, by how much the second's score is above the first's; None of more. Probabilities
        near 0 and 1 round to one number, and scores do not.
    """

    rank: Int64[np.ndarray, " n"]
    top: Int64[np.ndarray, "n t"]
    probability: Float32[np.ndarray, "n t"]
    score: Float64[np.ndarray, " n"] | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """What queries found: the rank of the best hit from 1, the five best answers and their cosines."""

    rank: Int64[np.ndarray, " q"]
    top: Int64[np.ndarray, "q t"]
    cosine: Float32[np.ndarray, "q t"]


def rank_classes(logits: Float[Tensor, "n c"], labels: Int64[Tensor, " n"]) -> Ranked:
    """Rank the classes of each picture; equal scores go to the lower class, as argmax does.

    So a model that gives every class one score is right by chance, not always.
    """
    order = logits.argsort(dim=1, descending=True, stable=True)
    rank = (order == labels[:, None]).int().argmax(dim=1) + 1
    top = order[:, :TOP]
    probability = logits.softmax(dim=1).gather(1, top)
    return Ranked(
        rank.numpy().astype(np.int64),
        top.numpy().astype(np.int64),
        probability.numpy().astype(np.float32),
        (logits[:, 1].double() - logits[:, 0].double()).numpy() if logits.shape[1] == 2 else None,
    )


def best_hit(
    scores: Float[Tensor, "q m"], hits: Bool[Tensor, "q m"]
) -> tuple[Int64[Tensor, " q"], Int64[Tensor, "q t"]]:
    """The rank of each query's best hit, from 1, and the indices of its five best answers, best first."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    assert bool(hits.any(dim=1).all())
    rank = hits.gather(1, order).int().argmax(dim=1) + 1
    return rank, order[:, :TOP]


def join(parts: list[Ranked]) -> Ranked:
    """Several batches as one."""
    scores = [part.score for part in parts if part.score is not None]
    return Ranked(
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.top for part in parts]),
        np.concatenate([part.probability for part in parts]),
        np.concatenate(scores) if scores else None,
    )
