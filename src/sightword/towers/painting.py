"""What a decoder of pixels must paint: patches as the tower sees them, the error, and pictures."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.errors import SightwordError
from sightword.losses.restoring import normalise_patches, reconstruction
from sightword.masking import count_hidden, patchify, unpatchify
from sightword.words import ImageFacts, Masking

_GREY = 127  # a hidden patch in `pictures`


class Canvas(nn.Module):
    """The pixels that masked autoencoders are asked for; has no parameters.

    Args:
        image: of the tower whose hidden patches are painted.
        norm_pix: whether each target patch is normalised by its own mean and deviation (MAE, arXiv
            2111.06377, section 3).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, image: ImageFacts, norm_pix: bool) -> None:
        super().__init__()
        assert image.patch_size is not None, "there are no patches to paint"
        self.grid, self.patch_size, self.norm_pix = image.grid, image.patch_size, norm_pix
        for name in ("mean", "std"):  # of the tower's normalisation, for each number of a patch
            values = torch.tensor(getattr(image, name)).repeat(self.patch_size**2)
            self.register_buffer(name, values, persistent=False)

    def score(
        self, predicted: Float[Tensor, "b n d"], images: UInt8[Tensor, "b 3 h w"], hidden: Bool[Tensor, "b n"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The loss, and the share of the hidden pixels' variance that is explained (detached)."""
        target = self._pixels(images)
        loss = reconstruction(predicted, target, hidden, self.norm_pix)
        wanted = normalise_patches(target) if self.norm_pix else target
        return loss, 1 - loss.detach() / _variance(wanted, hidden).clamp_min(1e-6)

    @torch.no_grad()
    def pictures(
        self, predicted: Float[Tensor, "b n d"], images: UInt8[Tensor, "b 3 h w"], hidden: Bool[Tensor, "b n"]
    ) -> Mapping[str, UInt8[Tensor, "b 3 h w"]]:
        """The original; what the tower saw (the rest grey); and hidden patches as predicted.

        A prediction of normalised pixels says nothing about a patch's brightness and contrast: it is shown
        with those of the true patch.
        """
        predicted, hidden = predicted.float(), hidden[..., None]
        if self.norm_pix:
            variance, mean = torch.var_mean(self._pixels(images), dim=-1, keepdim=True)
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
        return unpatchify(patches, self.grid, self.patch_size)


def check_painter(name: str, image: ImageFacts, masking: Masking, decoder: tuple[int, int, int]) -> None:
    """Whether the objective `name` can hide patches of this tower and paint them.

    Args:
        name: as it stands in `--objective`.
        image: the tower that shall not see some patches.
        masking: which.
        decoder: its width, layers and heads.

    Raises:
        SightwordError: the tower cannot hide patches, none or all are hidden, or no decoder has this shape.
    """
    width, layers, heads = decoder
    if image.patch_size is None or not image.maskable:
        raise SightwordError(
            f"{name} needs a ViT with a patch stem, and this image tower cannot hide patches; "
            "try --model vit-tiny, vit-s16 or vit-b16"
        )
    if not 0 < masking.ratio < 1 or count_hidden(masking, image.grid[0] * image.grid[1]) == 0:
        raise SightwordError(
            f"{name}(ratio={masking.ratio}) hides none or all of {image.grid[0]} x {image.grid[1]} patches; "
            "give a share between 0 and 1, such as 0.75"
        )
    if min(width, layers, heads) < 1 or width % heads or width % 4:
        raise SightwordError(
            f"{name}'s decoder cannot be {width} wide with {heads} heads and {layers} layers; the width must "
            "be a multiple of the heads and of 4, such as decoder_width=192, decoder_heads=6"
        )


def _variance(x: Float[Tensor, "b n d"], hidden: Bool[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Of the numbers in hidden patches."""
    share = hidden[..., None] / (hidden.sum() * x.shape[-1])
    return (share * (x - (share * x).sum()).square()).sum()
