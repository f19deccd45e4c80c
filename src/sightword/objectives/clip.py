"""CLIP: pictures and captions that belong together meet, all others part (Radford et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import final

from jaxtyping import Float
from torch import Tensor

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.contrast import scored_info_nce
from sightword.masking import dropping
from sightword.objectives.base import Objective
from sightword.towers.joint_space import JointSpace
from sightword.towers.word_classifier import WordClassifier
from sightword.views import named
from sightword.words import Batch, Caption, Contrast, Encode, Encoded, Surroundings, Term


@final
class Clip(Objective):
    """Symmetric InfoNCE in the joint space; Radford et al. 2021 (arXiv 2103.00020), figure 3.

    The view, the projections and the temperature's limits are SLIP's (Mu et al. 2021, arXiv 2112.12750).

    Args:
        gather_with_grad: send gradients to the features of other ranks, which is exact. SLIP's released
            code does not; False repeats that, for reproduction, and changes nothing on a single process.
        view: what the image tower sees; see `views.named.language`.
        drop: share of patches that the image tower does not see while training; 0 for none (FLIP, Li et al.
            2023, arXiv 2212.00794).
        classify: weight of a head that says the caption's words; 0 for none (SuperCLIP, Zhao et al. 2025,
            arXiv 2512.14480, where it is 1).
    """

    contrast = Contrast()

    def __init__(
        self,
        around: Surroundings,
        *,
        gather_with_grad: bool = True,
        view: named.Augment = "global",
        drop: float = 0.0,
        classify: float = 0.0,
    ) -> None:
        super().__init__(around)
        if around.text is None:
            raise SightwordError("clip learns from captions, but this run has none; try --objective simclr")
        if not 0 <= classify < math.inf:
            raise SightwordError(f"clip(classify={classify}) is no weight; try 1, or 0 for no head")
        self.gather_with_grad = gather_with_grad
        self.classify = classify
        self.words = WordClassifier(around.image.token_width, around.text) if classify else None
        self.caption = Caption()
        keep = dropping(drop, around.image, "clip")
        self.wants = {
            "image": Encode("image", view=named.language(around.image.size, view), keep=keep),
            "text": Encode("text", caption=self.caption),
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        assert joint is not None, "a run with a text tower has a joint space"
        image = joint.embed_image(encoded["image"].pooled)
        text = joint.embed_text(encoded["text"].pooled)
        images, texts = self._everyone(image), self._everyone(text)
        offset = distributed.offset(image)
        scored = scored_info_nce(image, text, joint.scale(), images, texts, offset)
        loss, (of_pictures, of_captions) = scored.loss, scored.right
        metrics = {
            "image_to_text_accuracy": of_pictures,
            "text_to_image_accuracy": of_captions,
            "pair_cosine": (image * text).detach().float().sum(dim=1).mean(),
            "logit_scale": joint.scale().detach().mean(),
        }
        if self.words is not None:
            words_loss, metrics["word_accuracy"] = self.words(
                encoded["image"].tokens, batch.captions[self.caption]
            )
            metrics["word_loss"] = words_loss.detach()
            loss = loss + self.classify * words_loss
        return Term(loss, metrics)

    def _everyone(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "n d"]:
        if distributed.world_size() == 1 or self.gather_with_grad:
            return distributed.gather(x)
        return distributed.gather(x).detach()
