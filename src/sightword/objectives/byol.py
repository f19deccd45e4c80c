"""BYOL: a view predicts what a slow copy of the network says of the other view (Grill et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from jaxtyping import Float
from torch import Tensor

from sightword import distributed
from sightword.collapse import deviation
from sightword.errors import SightwordError
from sightword.losses.following import negative_cosine
from sightword.objectives.base import Objective
from sightword.towers.heads import mlp_head
from sightword.towers.joint_space import JointSpace
from sightword.towers.momentum import Follower
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, Surroundings, Teacher, Term


@final
class Byol(Objective):
    """2 - 2 cos to a momentum target, summed over both directions; Grill et al. 2020 (arXiv 2006.07733).

    Equation 2 and the symmetrised loss of section 3.1. Projector and predictor are one hidden layer with
    batch norm and ReLU, their answers not normalised (appendix A). Defaults are the paper's for 1000 epochs;
    its released code has `momentum=0.99` for 100 and 300 epochs, and 0.97 for 40.

    The target's batch norms use the statistics of the batch, as the student's do: the released code runs the
    target network in training mode. Deviations: no linear map has a bias; the code's first ones have, which
    a batch norm takes away again. The target starts as a copy of the student; the code draws it anew and
    reports no difference. The momentum is that of one step later than the code's.

    Args:
        momentum: of the target at the start; it ends at 1.
        hidden: width of the hidden layers of projector and predictor.
        out: width of their answers.
    """

    def __init__(
        self, around: Surroundings, *, momentum: float = 0.996, hidden: int = 4096, out: int = 256
    ) -> None:
        super().__init__(around)
        if not (min(hidden, out) > 0 and 0 <= momentum <= 1):
            raise SightwordError(
                "byol needs hidden and out above zero and momentum from 0 to 1; "
                "try byol(momentum=0.996, hidden=4096, out=256)"
            )
        teacher = Teacher(momentum)
        self.projector = mlp_head([around.image.width, hidden, out], bias=False)
        self.predictor = mlp_head([out, hidden, out], bias=False)
        self.slow_projector = Follower(self.projector, teacher)
        views = [named.asymmetric(around.image.size, draw) for draw in (0, 1)]
        self.wants = {
            **{f"student{i}": Encode("image", view=view) for i, view in enumerate(views)},
            **{f"teacher{i}": Encode("image", view=view, teacher=teacher) for i, view in enumerate(views)},
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        # One view after the other: batch norm sees each view by itself, as in the released code.
        predicted = [self.predictor(self.projector(encoded[f"student{i}"].pooled)) for i in (0, 1)]
        targets = [self.slow_projector(encoded[f"teacher{i}"].pooled) for i in (0, 1)]
        loss = negative_cosine(predicted[0], targets[1]) + negative_cosine(predicted[1], targets[0])
        return Term(loss, {"cosine": 1 - loss.detach() / 4, "spread": spread(distributed.gather(targets[0]))})


def spread(x: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """How far answers are from collapse: 0 when all point one way, about 1 when evenly in all directions."""
    return deviation(x) * x.shape[1] ** 0.5
