"""BYOL, the smallest form: one view predicts what a slow copy of the network says of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from sightword.losses import negative_cosine
from sightword.objectives.base import Objective
from sightword.towers.heads import mlp_head
from sightword.towers.joint_space import JointSpace
from sightword.towers.momentum import Follower
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, Surroundings, Teacher, Term


@final
class Byol(Objective):
    """Grill et al. 2020 (arXiv 2006.07733), equation 2, both ways and summed.

    Args:
        hidden: width of the hidden layers of projector and predictor.
        out: width of their answers.
        momentum: of the teacher at the start; it ends at 1.
    """

    def __init__(
        self, around: Surroundings, *, hidden: int = 4096, out: int = 256, momentum: float = 0.99
    ) -> None:
        super().__init__(around)
        teacher = Teacher(momentum)
        self.projector = mlp_head([around.image.width, hidden, out])
        self.predictor = mlp_head([out, hidden, out])
        self.slow_projector = Follower(self.projector, teacher)
        views = [named.strong(around.image.size, draw) for draw in (0, 1)]
        self.wants = {
            **{f"student{i}": Encode("image", view=view) for i, view in enumerate(views)},
            **{f"teacher{i}": Encode("image", view=view, teacher=teacher) for i, view in enumerate(views)},
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        students = [self.predictor(self.projector(encoded[f"student{i}"].pooled)) for i in (0, 1)]
        teachers = [self.slow_projector(encoded[f"teacher{i}"].pooled) for i in (0, 1)]
        loss = negative_cosine(students[0], teachers[1]) + negative_cosine(students[1], teachers[0])
        return Term(loss, {})
