"""The vision transformer, whole or seeing only some of its patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from sightword.config import ImageTowerConfig
from sightword.errors import SightwordError
from sightword.towers.base import ImageTower, followed
from sightword.towers.blocks import AttentionPool, Block
from sightword.towers.positions import FixedPositions, LearnedPositions
from sightword.towers.resnet import refuse_hiding
from sightword.towers.stems import ConvStem, PatchStem, patches
from sightword.words import Encoded, ImageFacts


class ViT(ImageTower):
    """Pre-norm vision transformer (arXiv 2010.11929) with SLIP's defaults.

    Pooling, after the final LayerNorm: "class", a token of its own; "gap", the mean of the patch tokens;
    "max", their maximum; "attention", a learned query. With `norm_after_pool` the norm is of the pooled
    feature alone, and tokens stay as the last block leaves them (timm's `fc_norm`). There is a class token
    where it is pooled, or with `class_token`; it has a position of its own when positions are learned (as
    timm, so SLIP) and none when they are fixed (as MAE).

    Attributes:
        path_draws: numbers in [0, 1) that each row needs to drop residual branches; 0 where none are dropped.
    """

    def __init__(self, config: ImageTowerConfig) -> None:
        grid = (config.size // config.patch_size, config.size // config.patch_size)
        super().__init__(_facts(config, grid), mixes_batch=config.stem == "conv" and config.norm == "batch")
        width, depth = config.width, config.layers[0]
        self.patch_size, self.pool = config.patch_size, config.pool
        self.stem: PatchStem | ConvStem = (
            PatchStem(config.patch_size, width, config.stem_bias)
            if config.stem == "patch"
            else ConvStem(config.patch_size, width, config.norm)
        )
        learned = config.positions == "learned"
        self.positions = (LearnedPositions if learned else FixedPositions)(width, grid)
        self.class_token = _token(width, config.has_class_token)
        self.class_position = _token(width, config.has_class_token and learned)
        self.norm_after_pool = config.norm_after_pool
        rates = torch.linspace(0, config.drop_path, depth, device="cpu").tolist()
        self.pre_norm = nn.LayerNorm(width, eps=config.eps) if config.pre_norm else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, rate, config.activation, config.eps)
            for rate in rates
        )
        self.path_draws = 2 * depth if config.drop_path else 0
        self.norm = nn.LayerNorm(width, eps=config.eps)
        self.attention_pool = (
            AttentionPool(width, config.heads, config.mlp_ratio, config.activation, config.eps)
            if config.pool == "attention"
            else None
        )
        self._initialise()
        self.mask_token = _token(width, config.mask_token)  # last: all else is drawn the same without it
        self.stem.requires_grad_(not config.freeze_stem)

    def _initialise(self) -> None:
        """As timm's ViT, so SLIP's: truncated normal of .02, biases 0; the stem keeps torch's default."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and name != "stem":
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """See `ImageTower`: the blocks."""
        pool = [] if self.attention_pool is None else [self.attention_pool]
        return followed([[block] for block in self.blocks], [self.norm, *pool])

    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
        draws: Float[Tensor, "b draws"] | None = None,
    ) -> Encoded:
        """See `ImageTower`. Images of another size than the configuration's get resized positions.

        `draws` are as many as `path_draws` says; without them torch draws which branches are dropped.
        """
        x, kept = self._tokens(images, hidden, replace)
        x = self.pre_norm(self._with_class(x))
        for block, own in zip(self.blocks, self._each_blocks(draws), strict=True):
            x = block(x, draws=own)
        return self._answer(x, kept, hidden)

    def together(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None,
        others: Float[Tensor, "b m width"],
        valid: Bool[Tensor, "b m"],
        draws: Float[Tensor, "b draws"] | None = None,
    ) -> tuple[Encoded, Float[Tensor, "b m width"]]:
        """Encode pictures in one sequence with other tokens; pooling is over the picture's alone.

        Args:
            images, hidden, draws: as for `forward`; hidden patches are dropped.
            others: embedded tokens of something else, such as words.
            valid: which of them may be looked at.

        Returns:
            the picture's encoding, and the other tokens as the last layer leaves them.
        """
        x, kept = self._tokens(images, hidden, replace=False)
        x = self.pre_norm(self._with_class(x))
        own = x.shape[1]
        x = torch.cat([x, others.to(x.dtype)], dim=1)
        seen = torch.cat([valid.new_ones(len(x), own), valid], dim=1)
        for block, its in zip(self.blocks, self._each_blocks(draws), strict=True):
            x = block(x, seen, draws=its)
        return self._answer(x[:, :own], kept, hidden), self.norm(x[:, own:])

    def _each_blocks(self, draws: Float[Tensor, "b draws"] | None) -> Sequence[Tensor | None]:
        if draws is None:
            return [None] * len(self.blocks)
        assert draws.shape[1] == self.path_draws, (draws.shape, self.path_draws)
        return draws.to(self.mean.device).split(2, dim=1)

    def _with_class(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b _ w"]:
        if self.class_token is None:
            return x
        first = self.class_token if self.class_position is None else self.class_token + self.class_position
        return torch.cat([first.to(x.dtype).expand(x.shape[0], 1, -1), x], dim=1)

    def _answer(self, x: Float[Tensor, "b n w"], kept: Tensor | None, hidden: Tensor | None) -> Encoded:
        x = x if self.norm_after_pool else self.norm(x)
        tokens = x if self.class_token is None else x[:, 1:]
        pooled = x[:, 0] if self.pool == "class" else self._pool(tokens)
        pooled = self.norm(pooled) if self.norm_after_pool else pooled
        return Encoded(pooled, tokens, kept, None if hidden is None else hidden.to(x.device))

    def _tokens(
        self, images: Tensor, hidden: Tensor | None, replace: bool
    ) -> tuple[Float[Tensor, "b n w"], Int[Tensor, "b n"] | None]:
        positions = self.positions(self._grid(images))
        if hidden is None:
            return self._stem(images) + positions, None
        if isinstance(self.stem, ConvStem):
            refuse_hiding(hidden, "a convolutional stem")
        assert hidden.shape[1] == positions.shape[0], (hidden.shape, positions.shape)
        if replace:
            x = self._stem(images)
            return torch.where(hidden.to(x.device)[..., None], self._mask().to(x.dtype), x) + positions, None
        kept = _visible(hidden).to(images.device)
        return self._embed(images, kept) + F.embedding(kept, positions), kept

    def _stem(self, images: Tensor) -> Float[Tensor, "b n w"]:
        if isinstance(self.stem, PatchStem):
            return self.stem(images, self.mean, self.std)
        return self.stem(self.normalise(images))

    def _embed(self, images: Tensor, kept: Tensor) -> Float[Tensor, "b n w"]:
        """Only the patches that are seen are converted and embedded."""
        assert isinstance(self.stem, PatchStem)
        rows = torch.arange(images.shape[0], device=images.device)[:, None]
        return self.stem.embed(patches(images, self.patch_size)[rows, kept], self.mean, self.std)

    def _mask(self) -> Tensor:
        if self.mask_token is None:
            raise SightwordError(
                "this ViT has no mask token to put in place of hidden patches; "
                "train with --set model.image.mask_token=true"
            )
        return self.mask_token

    def _grid(self, images: Tensor) -> tuple[int, int]:
        h, w = images.shape[2:]
        if h % self.patch_size or w % self.patch_size:
            raise SightwordError(
                f"images of {h}x{w} pixels cannot be cut into patches of {self.patch_size}; "
                f"give sizes that it divides (this tower was made for {self.facts.size})"
            )
        return h // self.patch_size, w // self.patch_size

    def _pool(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b w"]:
        if self.attention_pool is not None:
            return self.attention_pool(x)
        return x.mean(1) if self.pool == "gap" else x.amax(1)


def _facts(config: ImageTowerConfig, grid: tuple[int, int]) -> ImageFacts:
    patchy = config.stem == "patch"
    return ImageFacts(
        width=config.width,
        token_width=config.width,
        size=config.size,
        grid=grid,
        patch_size=config.patch_size if patchy else None,
        maskable=patchy,
        mean=config.mean,
        std=config.std,
        class_token=config.pool == "class",
    )


def _token(width: int, wanted: bool) -> nn.Parameter | None:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02)) if wanted else None


def _visible(hidden: Bool[Tensor, "b grid"]) -> Int[Tensor, "b n"]:
    """Positions that are not hidden, in ascending order."""
    counts = (~hidden).sum(1)
    n = int(counts[0])
    assert bool((counts == n).all()), "every row must hide the same number of patches"
    return torch.argsort(hidden, dim=1, stable=True)[:, :n]
