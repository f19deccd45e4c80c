"""What users may change of a fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sightword.errors import SightwordError
from sightword.evaluation.finetune.recipe import FineTuneRecipe


@dataclass(frozen=True)
class FineTuneSettings:
    """Where a number is 0, the recipe's counts.

    epochs: all of them; the share that is warm-up stays.
    batch: at most so many pictures a step; the learning rate follows it.
    lr: of the last layer, at that batch.
    factors: of the learning rate. With more than one, the best on a split of the training part is taken, then
        everything is learned from with it.
    mirrored: whether pictures may be flipped; false where left and right matter, as in digits and letters.
    seed: of order, augmentation and head.
    """

    epochs: int = 0
    batch: int = 0
    lr: float = 0.0
    factors: tuple[float, ...] = (1.0,)
    mirrored: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = not self.factors or min(self.factors) <= 0 or len(set(self.factors)) < len(self.factors)
        if wrong:
            raise SightwordError(
                f"factors of the learning rate are {self.factors}; wanted different ones above 0"
            )
        if min(self.epochs, self.batch, self.lr) < 0:
            raise SightwordError(
                f"cannot fine-tune for {self.epochs} epochs in batches of {self.batch} at a learning rate of"
                f" {self.lr:g}; wanted numbers above 0, or 0 for the recipe's"
            )

    def of(self, recipe: FineTuneRecipe) -> FineTuneRecipe:
        """The recipe with what was changed."""
        epochs, batch = self.epochs or recipe.epochs, self.batch or recipe.batch
        return replace(
            recipe,
            epochs=epochs,
            warmup=recipe.warmup * epochs / recipe.epochs,
            batch=batch,
            lr=self.lr or recipe.lr * batch / recipe.batch,
            flip=recipe.flip if self.mirrored else 0.0,
        )
