"""Pictures as visual words: what says which, and one that learns it from the user's own pictures."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sightword import distributed
from sightword.errors import SightwordError
from sightword.losses.restoring import quantised_reconstruction
from sightword.masking import patchify, unpatchify
from sightword.pieces.reading import newest_model
from sightword.towers.codebook import Codebook

_LR = 3e-3  # of the tokenizer's Adam, falling to 0 by a half cosine
_RECENT = 0.9  # momentum of `explained`
_LEARNT = 64  # pictures a step: how well it learns does not depend on the run's batch size
_ROWS = 256  # pictures through the network at once, where no gradient is wanted


class VisualTokenizer(nn.Module, ABC):
    """Says for each patch of a picture which of `size` visual words it is; never trained by a run's loss.

    Attributes:
        size: how many words there are.
        landmark: a name in its state dict that no other module's has; a file is searched for it.
    """

    size: int
    landmark: str

    @abstractmethod
    def forward(self, images: UInt8[Tensor, "b 3 h w"]) -> Int64[Tensor, "b n"]:
        """The code of each patch, row-major, without gradient."""

    def load(self, place: Path) -> None:
        """Take over a trained tokenizer.

        Args:
            place: a run whose newest checkpoint holds one, or a safetensors file.

        Raises:
            SightwordError: when there is none, or one of another shape.
        """
        own = self.state_dict()
        found = self._tensors(place)
        wrong = [n for n in own if n not in found or found[n].shape != own[n].shape]
        if wrong:
            what = f"is {tuple(found[wrong[0]].shape)}" if wrong[0] in found else "is not there"
            raise SightwordError(
                f"'{place}' holds no visual tokenizer that fits: {wrong[0]} {what}, wanted"
                f" {tuple(own[wrong[0]].shape)}; give the options that it was made with, or try other weights"
            )
        self.load_state_dict({name: found[name] for name in own})

    def _tensors(self, place: Path) -> Mapping[str, Tensor]:
        return stripped(read_weights(place), self.landmark)


class VqTokenizer(VisualTokenizer):
    """A vector-quantised autoencoder of patches; VQ-VAE (van den Oord et al. 2017, arXiv 1711.00937).

    Patches -> linear -> two blocks -> code -> linear -> two blocks -> pixels in [-1, 1]. Its learning is
    VQ-VAE's with the codebook of BEiT v2 (see `Codebook`), whose code width and weight of the commitment
    are used. Deviations: BEiT v2 reproduces the features of another model, this the pixels, because it must
    learn from nothing but the user's own pictures; and its networks are small enough for a CPU.

    Attributes:
        explained: 1 less the error over the variance of the pixels, recently while it was trained, on
            pictures that it had not seen before (in the first epoch); 0 is as good as one grey.
    """

    landmark = "codebook.codes"
    explained: Tensor

    def __init__(self, patch_size: int, size: int, code_width: int, width: int) -> None:
        super().__init__()
        self.patch_size, self.size = patch_size, size
        pixels = 3 * patch_size**2
        self.embed = nn.Linear(pixels, width)
        self.encoder = nn.Sequential(_Block(width), _Block(width), nn.LayerNorm(width))
        self.to_code = nn.Linear(width, code_width)
        self.codebook = Codebook(size, code_width)
        self.from_code = nn.Linear(code_width, width)
        self.decoder = nn.Sequential(_Block(width), _Block(width), nn.LayerNorm(width))
        self.predict = nn.Linear(width, pixels)
        self.register_buffer("explained", torch.zeros(()))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: UInt8[Tensor, "b 3 h w"]) -> Int64[Tensor, "b n"]:
        """See `VisualTokenizer`. Always in float32: rounding must not choose the code."""
        with torch.autocast(images.device.type, enabled=False):
            parts = [self.codebook(self._encode(part))[1] for part in images.split(_ROWS)]
        return torch.cat(parts).view(len(images), -1)

    @torch.no_grad()
    def paint(self, codes: Int64[Tensor, "b n"], grid: tuple[int, int]) -> UInt8[Tensor, "b 3 h w"]:
        """What codes look like; `grid` is patches down and across."""
        with torch.autocast(codes.device.type, enabled=False):
            pixels = self._decode(self.codebook.codes[codes.flatten()], len(codes), grid)
        painted = ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return unpatchify(painted, grid, self.patch_size)

    def fit(self, batches: Iterable[UInt8[Tensor, "b 3 h w"]], steps: int) -> None:
        """Learn from `steps` batches of pictures, a few at a time; draws no random numbers."""
        self.requires_grad_(True)
        optimizer = torch.optim.Adam(self.parameters(), lr=_LR)
        for step, images in enumerate(batches):
            parts = images.split(_LEARNT)
            for i, part in enumerate(parts):
                progress = (step + i / len(parts)) / steps
                optimizer.param_groups[0]["lr"] = _LR * (1 + math.cos(math.pi * progress)) / 2
                self._learn(part, optimizer)
        self.requires_grad_(False)

    def _learn(self, images: UInt8[Tensor, "b 3 h w"], optimizer: torch.optim.Optimizer) -> None:
        with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
            self.loss(images).backward()
        for parameter in self.parameters():
            assert parameter.grad is not None
            parameter.grad = distributed.mean(parameter.grad)
        optimizer.step()
        optimizer.zero_grad()

    def loss(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        """The loss of one batch; the codebook follows the batch after it was used."""
        grid = self._grid(images)
        target = self._pixels(images)
        features = self._encode(images)
        quantised, chosen = self.codebook(features)
        predicted = self._decode(quantised, len(images), grid)
        loss = quantised_reconstruction(predicted, target, features, self.codebook.codes[chosen])
        with torch.no_grad():
            error = distributed.mean((predicted - target).square().mean())
            recent = _RECENT if self.codebook.followed > 0 else 0.0
            self.explained.lerp_(1 - error / _variance(target).clamp_min(1e-6), 1 - recent)
        self.codebook.follow(features)
        return loss

    def _encode(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "n d"]:
        x = self.embed(self._pixels(images)).unflatten(1, self._grid(images))
        return self.to_code(self.encoder(x)).flatten(0, 2)

    def _decode(
        self, codes: Float[Tensor, "n d"], rows: int, grid: tuple[int, int]
    ) -> Float[Tensor, "b patches pixels"]:
        # Numbers of a unit vector are small: at unit variance the decoder learns several times faster.
        x = self.from_code(codes * codes.shape[1] ** 0.5).view(rows, *grid, -1)
        return self.predict(self.decoder(x)).flatten(1, 2)

    def _pixels(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b patches pixels"]:
        return patchify(images, self.patch_size).to(self.embed.weight.dtype) / 127.5 - 1

    def _grid(self, images: Tensor) -> tuple[int, int]:
        return images.shape[2] // self.patch_size, images.shape[3] // self.patch_size


class _Block(nn.Module):
    """A look at the eight neighbours, then a small MLP; residual (ConvNeXt's block, arXiv 2201.03545)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Float[Tensor, "b down across width"]) -> Float[Tensor, "b down across width"]:
        """One vector for each place to one vector for each place."""
        looked: Tensor = self.look(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.mlp(looked)


def read_weights(place: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of the newest checkpoint of a run.

    Raises:
        SightwordError: when there is none, or it cannot be read.
    """
    if not place.exists():
        raise SightwordError(f"there is no file or run '{place}'; give its path, or try other weights")
    if place.is_dir():
        return newest_model(place)
    try:
        return load_file(place)
    except (OSError, SafetensorError) as error:
        raise SightwordError(f"'{place}' is no readable safetensors file: {error}; try another") from error


def stripped(tensors: Mapping[str, Tensor], landmark: str) -> dict[str, Tensor]:
    """Those tensors that stand beside the one called `landmark`, under names without what comes before it."""
    prefixes = sorted(n.removesuffix(landmark) for n in tensors if f".{n}".endswith(f".{landmark}"))
    prefix = prefixes[0] if prefixes else ""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _variance(x: Tensor) -> Float[Tensor, ""]:
    """Of the numbers of all processes."""
    if distributed.world_size() == 1:
        return x.var()
    mean, square = distributed.mean(torch.stack([x.mean(), x.square().mean()]))  # of numbers around 0
    count = distributed.world_size() * x.numel()
    return (square - mean.square()) * count / (count - 1)
