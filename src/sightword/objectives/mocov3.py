"""MoCo v3: a view is found among what a slow copy says of all pictures (Chen, Xie and He 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from jaxtyping import Float
from torch import Tensor

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.contrast import scored_momentum_contrast
from sightword.objectives.base import Objective
from sightword.towers.heads import mlp_head
from sightword.towers.joint_space import JointSpace
from sightword.towers.momentum import Follower
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, Surroundings, Teacher, Term


@final
class MocoV3(Objective):
    """Momentum contrast without a queue; Chen, Xie and He 2021 (arXiv 2104.02057), algorithm 1.

    Each view's query is scored against the keys of the other view, of all pictures on all ranks; keys come
    from a momentum copy of tower and projector, and carry no gradient. Defaults are the released code's for
    ViTs. For a ResNet it has `layers=2, predictor_norm=false, temperature=1.0`, and crops of 0.2-1 of a
    picture, which ours are not (0.08-1, as its ViTs). The paper also freezes the patch embedding of a ViT
    (section 4.2), which is the tower's matter: `--set model.image.freeze_stem=true`.

    The copy's batch norms use the statistics of the batch, as the student's do: the released code leaves the
    momentum encoder in training mode. Its running statistics, which nothing here reads, differ from those
    of the code (see `Follower`).

    Args:
        temperature: of the softmax.
        momentum: of the copy at the start; it ends at 1 (the code's `--moco-m-cos`).
        hidden: width of the hidden layers of projector and predictor.
        out: width of their answers.
        layers: linear layers of the projector; the predictor has two.
        predictor_norm: end the predictor, too, in a batch norm without scale and shift.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        temperature: float = 0.2,
        momentum: float = 0.99,
        hidden: int = 4096,
        out: int = 256,
        layers: int = 3,
        predictor_norm: bool = True,
    ) -> None:
        super().__init__(around)
        _check(temperature, momentum, hidden, out, layers)
        self.temperature = temperature
        teacher = Teacher(momentum)
        widths = [around.image.width, *[hidden] * (layers - 1), out]
        self.projector = mlp_head(widths, bias=False, last_norm=True)
        self.predictor = mlp_head([out, hidden, out], bias=False, last_norm=predictor_norm)
        self.slow_projector = Follower(self.projector, teacher)
        views = [named.asymmetric(around.image.size, draw) for draw in (0, 1)]
        self.wants = {
            **{f"student{i}": Encode("image", view=view) for i, view in enumerate(views)},
            **{f"teacher{i}": Encode("image", view=view, teacher=teacher) for i, view in enumerate(views)},
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        # One view after the other: batch norm sees each view by itself (appendix A, "BatchNorm").
        queries = [self.predictor(self.projector(encoded[f"student{i}"].pooled)) for i in (0, 1)]
        keys = [self._keys(encoded[f"teacher{i}"]) for i in (0, 1)]
        offset = distributed.offset(queries[0])
        first, second = (
            scored_momentum_contrast(query, key, self.temperature, offset)
            for query, key in zip(queries, reversed(keys), strict=True)
        )
        return Term(first.loss + second.loss, {"accuracy": (first.right[0] + second.right[0]) / 2})

    def _keys(self, taught: Encoded) -> Float[Tensor, "n d"]:
        """What the copy says of one view, of all ranks' pictures."""
        return distributed.gather(self.slow_projector(taught.pooled))


def _check(temperature: float, momentum: float, hidden: int, out: int, layers: int) -> None:
    if not (temperature > 0 and min(hidden, out, layers) > 0 and 0 <= momentum <= 1):
        raise SightwordError(
            "mocov3 needs temperature, hidden, out and layers above zero and momentum from 0 to 1; "
            "try mocov3(temperature=0.2, momentum=0.99)"
        )
