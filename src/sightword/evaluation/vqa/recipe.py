"""How a head is trained, with the encoders or without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


FROZEN = Recipe()
FINE_TUNED = Recipe(lrs=(3e-4, 1e-3), epochs=(5,), towers=0.03)
