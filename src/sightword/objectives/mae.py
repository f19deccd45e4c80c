"""MAE: from a quarter of a picture's patches, paint the rest (He et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, final

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sightword.errors import SightwordError
from sightword.losses import normalise_patches, reconstruction
from sightword.masking import count_hidden, patchify, unpatchify
from sightword.objectives.base import Objective
from sightword.towers.decoder import PatchDecoder
from sightword.towers.joint_space import JointSpace
from sightword.views import named
from sightword.words import Batch, Encode, Encoded, ImageFacts, Masking, Surroundings, Term

_GREY = 127  # a hidden patch in `pictures`


@final
class Mae(Objective):
    """Mean squared error on the patches that the tower did not see; He et al. 2022 (arXiv 2111.06377).

    Defaults are the paper's: 75 % hidden, a decoder of 8 layers 512 wide with 16 heads, targets normalised
    within each patch. That decoder is made for ViT-L: beside a small tower, give a small one.

    Args:
        ratio: share of patches hidden.
        kind: `uniform`, as the paper, or `block` (BEiT's rectangles).
        norm_pix: normalise each target patch by its own mean and deviation.
        decoder_width, decoder_layers, decoder_heads: the decoder's shape.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        around: Surroundings,
        *,
        ratio: float = 0.75,
        kind: Literal["uniform", "block"] = "uniform",
        norm_pix: bool = True,
        decoder_width: int = 512,
        decoder_layers: int = 8,
        decoder_heads: int = 16,
    ) -> None:
        super().__init__(around)
        masking = Masking(ratio, kind)
        _check(around.image, masking, decoder_width, decoder_layers, decoder_heads)
        self.norm_pix = norm_pix
        self.patch_size = around.image.patch_size or 0
        for name in ("mean", "std"):  # of the tower's normalisation, for each number of a patch
            values = torch.tensor(getattr(around.image, name)).repeat(self.patch_size**2)
            self.register_buffer(name, values, persistent=False)
        self.decoder = PatchDecoder(around.image, decoder_width, decoder_layers, decoder_heads)
        self.view = named.reconstruction(around.image.size)
        self.wants = {"image": Encode("image", view=self.view, keep=masking)}

    def forward(self, encoded: Mapping[str, Encoded], batch: Batch, joint: JointSpace | None) -> Term:
        seen = encoded["image"]
        assert seen.hidden is not None, "the tower says what it did not see"
        target = self._pixels(batch.views[self.view])
        loss = reconstruction(self.decoder(seen), target, seen.hidden, self.norm_pix)
        wanted = normalise_patches(target) if self.norm_pix else target
        return Term(loss, {"explained": 1 - loss.detach() / _variance(wanted, seen.hidden).clamp_min(1e-6)})

    @torch.no_grad()
    def pictures(
        self, encoded: Mapping[str, Encoded], batch: Batch
    ) -> Mapping[str, UInt8[Tensor, "b 3 h w"]]:
        """The original; what the tower saw (the rest grey); and hidden patches as predicted.

        A prediction of normalised pixels says nothing about a patch's brightness and contrast: it is shown
        with those of the true patch.
        """
        seen, images = encoded["image"], batch.views[self.view]
        assert seen.hidden is not None
        target, hidden = self._pixels(images), seen.hidden[..., None]
        predicted = self.decoder(seen).float()
        if self.norm_pix:
            variance, mean = torch.var_mean(target, dim=-1, keepdim=True)
            predicted = predicted * variance.sqrt() + mean
        patches = patchify(images, self.patch_size)
        return {
            "original": images,
            "masked": self._picture(torch.where(hidden, _GREY, patches)),
            "reconstructed": self._picture(torch.where(hidden, self._bytes(predicted), patches)),
        }

    def _pixels(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Patches as the tower sees them: in units of its normalisation."""
        return (patchify(images, self.patch_size) / 255 - self.mean) / self.std

    def _bytes(self, pixels: Float[Tensor, "b n d"]) -> UInt8[Tensor, "b n d"]:
        return ((pixels * self.std + self.mean) * 255).round().clamp(0, 255).to(torch.uint8)

    def _picture(self, patches: UInt8[Tensor, "b n d"]) -> UInt8[Tensor, "b 3 h w"]:
        return unpatchify(patches, self.around.image.grid, self.patch_size)


def _variance(x: Float[Tensor, "b n d"], hidden: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Of the numbers in hidden patches."""
    share = hidden[..., None] / (hidden.sum() * x.shape[-1])
    return (share * (x - (share * x).sum()).square()).sum()


def _check(image: ImageFacts, masking: Masking, width: int, layers: int, heads: int) -> None:
    if image.patch_size is None or not image.maskable:
        raise SightwordError(
            "mae needs a ViT with a patch stem, and this image tower cannot hide patches; "
            "try --model vit-tiny, vit-s16 or vit-b16"
        )
    if not 0 < masking.ratio < 1 or count_hidden(masking, image.grid[0] * image.grid[1]) == 0:
        raise SightwordError(
            f"mae(ratio={masking.ratio}) hides none or all of {image.grid[0]} x {image.grid[1]} patches; "
            "give a share between 0 and 1, such as 0.75"
        )
    if min(width, layers, heads) < 1 or width % heads or width % 4:
        raise SightwordError(
            f"mae's decoder cannot be {width} wide with {heads} heads and {layers} layers; the width must be "
            "a multiple of the heads and of 4, such as decoder_width=192, decoder_heads=6"
        )
