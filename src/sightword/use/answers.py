"""What a model answers about pictures: which class, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Classified:
    """How likely each class is for each picture, if one of them is true.

    classes: names, in the order of the columns.
    probabilities: a row for each picture, which sums to 1.
    """

    classes: tuple[str, ...]
    probabilities: Float[Tensor, "b c"]

    @property
    def best(self) -> list[str]:
        """The likeliest class of each picture."""
        return [self.classes[i] for i in self.probabilities.argmax(dim=1).tolist()]

    def top(self, count: int = 5) -> list[list[tuple[str, float]]]:
        """For each picture its likeliest classes with their probabilities, the likeliest first."""
        values, places = self.probabilities.topk(min(count, len(self.classes)), dim=1)
        rows = zip(places.tolist(), values.tolist(), strict=True)
        return [[(self.classes[i], p) for i, p in zip(*row, strict=True)] for row in rows]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates from the likest to the least like.

    order: their places in what was given, the likest first; equal ones stay in the order given.
    scores: the cosine of each, in that order.
    """

    order: Int64[Tensor, " n"]
    scores: Float[Tensor, " n"]

    @classmethod
    def of(cls, cosines: Float[Tensor, " n"]) -> Ranked:
        """Candidates with these cosines."""
        scores, order = torch.sort(cosines, descending=True, stable=True)
        return cls(order, scores)

    @property
    def best(self) -> int:
        """The place of the likest."""
        return int(self.order[0])
