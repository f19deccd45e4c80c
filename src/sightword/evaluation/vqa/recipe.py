"""How a head is trained, with the encoders or without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sightword.errors import SightwordError

SEED = 0


@dataclass(frozen=True)
class Recipe:
    """Settings of a head's training. Of `lrs` and `epochs` every pair is tried, the best is taken.

    lrs: learning rates of the head (AdamW, linear warm-up, then a cosine to zero).
    epochs: passes over the training part.
    towers: learning rate of the encoders as a share of the head's; 0 keeps them as they are.
    batch: questions of a step.
    wd: weight decay of matrices.
    warmup: share of the steps.
    clip: largest norm of the gradients.
    width: of each encoder's feature where both meet.
    hidden: width of the layer between them and the answers.
    dropout: before the answers.
    precision: of the encoders while they are trained; `auto` is bf16 on CUDA and fp32 elsewhere.
    """

    lrs: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    epochs: tuple[int, ...] = (4, 12)
    towers: float = 0.0
    batch: int = 512
    wd: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    width: int = 512
    hidden: int = 1024
    dropout: float = 0.2
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        counts = (*self.epochs, self.batch, self.width, self.hidden, len(self.lrs), len(self.epochs))
        if min(counts) < 1 or min(self.lrs) <= 0 or self.clip <= 0:
            raise SightwordError(
                f"cannot train a head with lrs {self.lrs}, epochs {self.epochs}, batch {self.batch}, width"
                f" {self.width}, hidden {self.hidden} and clip {self.clip:g}; wanted all of them above 0"
            )
        if min(self.towers, self.wd) < 0 or not (0 <= self.warmup <= 1 and 0 <= self.dropout < 1):
            raise SightwordError(
                f"cannot train a head with towers {self.towers:g}, wd {self.wd:g}, warmup {self.warmup:g} and"
                f" dropout {self.dropout:g}; wanted none below 0, warmup up to 1, dropout below 1"
            )


FROZEN = Recipe()
FINE_TUNED = Recipe(lrs=(3e-4, 1e-3), epochs=(5,), towers=0.03)
