"""MAE's decoder: from the tokens that were seen to the pixels of every patch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightword.towers.blocks import Block
from sightword.towers.positions import sincos_2d
from sightword.words import Encoded, ImageFacts


class PatchDecoder(nn.Module):
    """A light transformer over visible tokens and mask tokens, in their places (arXiv 2111.06377, section 3).

    Linear to the decoder's width, a shared mask token at hidden positions, fixed sine-cosine positions,
    blocks, LayerNorm, linear to the pixels of a patch. A tower's class token, if there is one, goes along in
    front.
    """

    positions: Tensor

    def __init__(self, facts: ImageFacts, width: int = 512, depth: int = 8, heads: int = 16) -> None:
        super().__init__()
        assert facts.patch_size is not None, "a decoder of patches needs a tower of patches"
        self.class_token = facts.class_token
        self.embed = nn.Linear(facts.token_width, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.register_buffer("positions", sincos_2d(width, facts.grid), persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.predict = nn.Linear(width, 3 * facts.patch_size**2)
        self._initialise()

    def _initialise(self) -> None:
        """As MAE's code: Xavier uniform, biases 0, mask token normal of .02."""
        nn.init.normal_(self.mask_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, encoded: Encoded) -> Float[Tensor, "b full pixels"]:
        """Predict every patch of the grid, row-major; the order of a patch's numbers is the loss's to say.

        Args:
            encoded: tokens in the order of `kept`, or of the whole grid where `kept` is None.
        """
        x = self._whole_grid(encoded) + self.positions
        if self.class_token:
            x = torch.cat([self.embed(encoded.pooled)[:, None].to(x.dtype), x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = x[:, 1:] if self.class_token else x
        return self.predict(self.norm(x))

    def _whole_grid(self, encoded: Encoded) -> Float[Tensor, "b full width"]:
        x = self.embed(encoded.tokens)
        if encoded.kept is None:
            return x
        full = self.mask_token.to(x.dtype).expand(x.shape[0], self.positions.shape[0], -1)
        return full.scatter(1, encoded.kept[..., None].expand_as(x), x)
