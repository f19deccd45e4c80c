"""CLIP: pictures and captions that belong together meet, all others part (Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from jaxtyping import Float
from torch import Tensor

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses import accuracy, both_ways, info_nce_logits
from sightword.objectives.base import Objective
from sightword.towers.joint_space import JointSpace
from sightword.views import named
from sightword.words import Batch, Caption, Encode, Encoded, Surroundings, Term


@final
class Clip(Objective):
    """Symmetric InfoNCE in the joint space; Radford et al. 2021 (arXiv 2103.00020), figure 3.

    The view, the projections and the temperature's limits are SLIP's (Mu et al. 2021, arXiv 2112.12750).

    Args:
        gather_with_grad: send gradients to the features of other ranks, which is exact. SLIP's released
            code does not; False repeats that, for reproduction, and changes nothing on a single process.
    """

    def __init__(self, around: Surroundings, *, gather_with_grad: bool = True) -> None:
        super().__init__(around)
        if around.text is None:
            raise SightwordError("clip learns from captions, but this run has none; try --objective simclr")
        self.gather_with_grad = gather_with_grad
        self.wants = {
            "image": Encode("image", view=named.language(around.image.size)),
            "text": Encode("text", caption=Caption()),
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        assert joint is not None, "a run with a text tower has a joint space"
        image = joint.embed_image(encoded["image"].pooled)
        text = joint.embed_text(encoded["text"].pooled)
        images, texts = self._everyone(image), self._everyone(text)
        offset = distributed.offset(image)
        to_text, to_image = info_nce_logits(image, text, joint.scale(), images, texts, offset)
        metrics = {
            "image_to_text_accuracy": accuracy(to_text, offset),
            "text_to_image_accuracy": accuracy(to_image, offset),
            "pair_cosine": (image * text).detach().float().sum(dim=1).mean(),
            "logit_scale": joint.scale().detach().mean(),
        }
        return Term(both_ways(to_text, to_image, offset), metrics)

    def _everyone(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "n d"]:
        if distributed.world_size() == 1 or self.gather_with_grad:
            return distributed.gather(x)
        return distributed.gather(x).detach()
