"""The head: two features in, a score for each answer out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sightword.evaluation.vqa.recipe import Recipe

_LEAST = 1e-6  # of a deviation: what never changes says nothing


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and deviation of a feature over a training part, both of shape (d,)."""

    mean: Float[Tensor, " d"]
    deviation: Float[Tensor, " d"]

    @staticmethod
    def of(features: Float[Tensor, "n d"]) -> Scale:
        """Of these features; numbers that never change are divided by one."""
        deviation = features.std(dim=0, correction=0)
        return Scale(features.mean(dim=0), torch.where(deviation > _LEAST, deviation, 1.0))


class Head(nn.Module):
    """[i, q, i * q, |i - q|] of both features, brought to one width, then a perceptron of one hidden layer.

    MAE-CLIP (2301.07836) says nothing public of its head; this one is light and sees pooled features alone.
    Both features are standardised by the training part first.
    """

    image_mean: Tensor
    image_deviation: Tensor
    question_mean: Tensor
    question_deviation: Tensor

    def __init__(self, image: Scale, question: Scale, answers: int, recipe: Recipe) -> None:
        super().__init__()
        for name, scale in (("image", image), ("question", question)):
            self.register_buffer(f"{name}_mean", scale.mean.clone())
            self.register_buffer(f"{name}_deviation", scale.deviation.clone())
        self.image = nn.Linear(len(image.mean), recipe.width)
        self.question = nn.Linear(len(question.mean), recipe.width)
        self.fused = nn.Linear(4 * recipe.width, recipe.hidden)
        self.dropout = nn.Dropout(recipe.dropout)
        self.answers = nn.Linear(recipe.hidden, answers)

    def forward(
        self, images: Float[Tensor, "b d"] | None, questions: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b answers"]:
        """Scores before softmax or sigmoid.

        Args:
            images: features of the pictures; None to answer without looking: their standardised features
                are zero.
            questions: features of the questions, row by row about those pictures.
        """
        q = F.gelu(self.question((questions - self.question_mean) / self.question_deviation))
        i = F.gelu(self.image(self._standardised(images, len(questions))))
        fused = torch.cat([i, q, i * q, (i - q).abs()], dim=-1)
        return self.answers(self.dropout(F.gelu(self.fused(fused))))

    def _standardised(self, images: Tensor | None, rows: int) -> Float[Tensor, "b d"]:
        if images is None:
            return self.image_mean.new_zeros(rows, len(self.image_mean))
        return (images - self.image_mean) / self.image_deviation
