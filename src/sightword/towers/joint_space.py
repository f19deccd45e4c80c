"""The space where pictures and captions meet, and the temperature of their contrast."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword.losses.numbers import unit
from sightword.words import Contrast


class JointSpace(nn.Module):
    """Bias-free projections and `logit_scale` as in CLIP (arXiv 2103.00020, section 2.5; SLIP the same).

    With `contrast.bias` also `logit_bias` as in SigLIP (arXiv 2303.15343, algorithm 1). Both have shape (1,),
    not (): sharding refuses scalar parameters. SigLIP's weights project captions with a bias and pictures not
    at all: its pooled feature is in the joint space already, as is that of OpenAI's RN50.
    """

    def __init__(
        self,
        image_width: int,
        text_width: int,
        embed: int,
        contrast: Contrast | None = None,
        project_image: bool = True,
        text_bias: bool = False,
    ) -> None:
        super().__init__()
        contrast = contrast or Contrast()
        self.most = contrast.most
        assert project_image or image_width == embed, (image_width, embed)
        self.image = nn.Linear(image_width, embed, bias=False) if project_image else nn.Identity()
        self.text = nn.Linear(text_width, embed, bias=text_bias)
        self.logit_scale = nn.Parameter(torch.full((1,), math.log(contrast.scale)))
        biased = contrast.bias is not None
        self.logit_bias = nn.Parameter(torch.full((1,), float(contrast.bias or 0))) if biased else None
        if isinstance(self.image, nn.Linear):
            nn.init.normal_(self.image.weight, std=image_width**-0.5)
        nn.init.normal_(self.text.weight, std=text_width**-0.5)
        if text_bias:
            nn.init.zeros_(self.text.bias)

    def embed_image(self, pooled: Float[Tensor, "b image_width"]) -> Float[Tensor, "b embed"]:
        """Image features projected and scaled to length 1, in float32 (float64 stays) whatever is around."""
        return unit(self.image(pooled))

    def embed_text(self, pooled: Float[Tensor, "b text_width"]) -> Float[Tensor, "b embed"]:
        """Text features projected and scaled to length 1, in float32 (float64 stays) whatever is around."""
        return unit(self.text(pooled))

    def scale(self) -> Float[Tensor, " 1"]:
        """The factor of the cosine: the inverse of the temperature."""
        return self.logit_scale.exp()

    @torch.no_grad()
    def clamp_(self) -> None:
        """Keep the scale at `contrast.most` or below; called after each step (CLIP, section 2.5)."""
        self.logit_scale.clamp_(max=math.log(self.most))
