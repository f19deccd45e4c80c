"""SimCLR: two strong views of one picture meet, all others part (Chen et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.contrast import scored_nt_xent
from sightword.objectives.base import Objective
from sightword.towers.heads import mlp_head
from sightword.towers.joint_space import JointSpace
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, Surroundings, Term


@final
class Simclr(Objective):
    """NT-Xent over two strong views; Chen et al. 2020 (arXiv 2002.05709), equation 1.

    Defaults are SLIP's (Mu et al. 2021, arXiv 2112.12750): a 4096-4096-256 projector with batch norm over
    all ranks, on the tower's unprojected feature.

    Args:
        temperature: of the softmax.
        hidden: width of the projector's hidden layers.
        out: width of its answer.
        layers: how many linear layers it has.
    """

    def __init__(
        self,
        around: Surroundings,
        *,
        temperature: float = 0.1,
        hidden: int = 4096,
        out: int = 256,
        layers: int = 3,
    ) -> None:
        super().__init__(around)
        if not (temperature > 0 and hidden > 0 and out > 0 and layers > 0):
            raise SightwordError("simclr needs temperature, hidden, out and layers above zero")
        self.temperature = temperature
        self.projector = mlp_head([around.image.width, *[hidden] * (layers - 1), out])
        self.wants = {
            "a": Encode("image", view=named.strong(around.image.size, 0)),
            "b": Encode("image", view=named.strong(around.image.size, 1)),
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        # One view after the other: batch norm sees each view by itself, as in SLIP's code.
        a, b = self.projector(encoded["a"].pooled), self.projector(encoded["b"].pooled)
        offset = distributed.offset(a)
        everyone = distributed.gather(a), distributed.gather(b)
        scored = scored_nt_xent(a, b, self.temperature, *everyone, offset)
        return Term(scored.loss, {"accuracy": scored.right[0]})
