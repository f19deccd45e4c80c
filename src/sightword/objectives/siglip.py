"""SigLIP: does this caption belong to this picture, asked of every pair by itself (Zhai et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import final

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.contrast import scored_sigmoid_pairs
from sightword.masking import dropping
from sightword.objectives.base import Objective
from sightword.towers.joint_space import JointSpace
from sightword.towers.word_classifier import WordClassifier
from sightword.views import named
from sightword.words import Batch, Caption, Contrast, Encode, Encoded, Surroundings, Term


@final
class Siglip(Objective):
    """A sigmoid for every pair, with a learned bias; Zhai et al. 2023 (arXiv 2303.15343), algorithm 1.

    The scale begins at 10 and the bias at -10, the paper's. The scale has no upper limit: the released code
    (big_vision) clamps nothing, and its So400m at 384 pixels ended at 112.

    Deviations: the view is CLIP's in SLIP's code, so that the two can be compared on the same pictures (the
    paper resizes pictures without a crop); projections are bias-free on both sides as in CLIP (big_vision
    has one on the text side alone, with a bias).

    Args:
        view: what the image tower sees; see `views.named.language`.
        drop: share of patches that the image tower does not see while training; 0 for none (FLIP, Li et al.
            2023, arXiv 2212.00794).
        classify: weight of a head that says the caption's words; 0 for none (SuperCLIP, Zhao et al. 2025,
            arXiv 2512.14480, where it is 1).
    """

    contrast = Contrast(scale=10.0, most=math.inf, bias=-10.0)

    def __init__(
        self,
        around: Surroundings,
        *,
        view: named.Augment = "global",
        drop: float = 0.0,
        classify: float = 0.0,
    ) -> None:
        super().__init__(around)
        if around.text is None:
            raise SightwordError("siglip learns from captions, but this run has none; try --objective simclr")
        if not 0 <= classify < math.inf:
            raise SightwordError(f"siglip(classify={classify}) is no weight; try 1, or 0 for no head")
        self.classify = classify
        self.words = WordClassifier(around.image.token_width, around.text) if classify else None
        self.caption = Caption()
        keep = dropping(drop, around.image, "siglip")
        self.wants = {
            "image": Encode("image", view=named.language(around.image.size, view), keep=keep),
            "text": Encode("text", caption=self.caption),
        }

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        assert joint is not None, "a run with a text tower has a joint space"
        assert joint.logit_bias is not None, "this objective asks for a bias"
        image = joint.embed_image(encoded["image"].pooled)
        text = joint.embed_text(encoded["text"].pooled)
        offset = distributed.offset(image)
        images, texts = distributed.gather(image.detach()), distributed.gather(text)
        scored = scored_sigmoid_pairs(image, text, joint.scale(), joint.logit_bias, images, texts, offset)
        loss, (of_pictures, of_captions) = scored.loss, scored.right
        metrics = {
            "image_to_text_accuracy": of_pictures,
            "text_to_image_accuracy": of_captions,
            "pair_cosine": (image * text).detach().sum(dim=1).mean(),
            "logit_scale": joint.scale().detach().mean(),
            "logit_bias": joint.logit_bias.detach().mean(),
        }
        if self.words is not None:
            words_loss, metrics["word_accuracy"] = self.words(
                encoded["image"].tokens, batch.captions[self.caption]
            )
            metrics["word_loss"] = words_loss.detach()
            loss = loss + self.classify * words_loss
        return Term(loss, metrics)
