"""From scores of classes to ranks, predictions and the five best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
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
    rank, top = _rank_of(logits, labels), _best(logits)
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
    assert bool(hits.any(dim=1).all())
    nearest = scores.masked_fill(~hits, -torch.inf).argmax(dim=1)
    return _rank_of(scores, nearest), _best(scores)


def _rank_of(scores: Float[Tensor, "n m"], which: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """The rank, from 1, of one answer in each row; of equal ones the lower comes first. No row is sorted.

    What is not a number comes before all others, as where torch sorts.
    """
    scores = scores.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    own, places = scores.gather(1, which[:, None]), torch.arange(scores.shape[1])
    earlier = (scores == own) & (places < which[:, None])
    rank: Tensor = ((scores > own) | earlier).sum(dim=1) + 1
    return rank


def _best(scores: Float[Tensor, "n m"]) -> Int64[Tensor, "n t"]:
    """The five best answers of each row, best first; of equal ones the lower comes first."""
    count = min(TOP, scores.shape[1])
    values, found = scores.topk(min(count + 1, scores.shape[1]))
    equal = ~(values[:, 1:] < values[:, :-1]).all(dim=1)  # topk takes any of them, and in any order
    found = found[:, :count]
    if bool(equal.any()):
        found[equal] = scores[equal].argsort(dim=1, descending=True, stable=True)[:, :count]
    return found


def join(parts: list[Ranked]) -> Ranked:
    """Several batches as one."""
    scores = [part.score for part in parts if part.score is not None]
    return Ranked(
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.top for part in parts]),
        np.concatenate([part.probability for part in parts]),
        np.concatenate(scores) if scores else None,
    )
