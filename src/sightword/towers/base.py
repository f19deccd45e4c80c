"""What every tower is: pixels or words in, `Encoded` out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from sightword.words import Encoded, ImageFacts, TextFacts, Words


class ImageTower(nn.Module, ABC):
    """Encodes pictures. Takes bytes and normalises them itself, so that nobody can do it twice or not at all.

    Attributes:
        facts: what an objective may know of the tower.
        mixes_batch: whether one row's output depends on the other rows (batch norm inside).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, facts: ImageFacts, mixes_batch: bool) -> None:
        super().__init__()
        self.facts = facts
        self.mixes_batch = mixes_batch
        self.register_buffer("mean", torch.tensor(facts.mean), persistent=False)
        self.register_buffer("std", torch.tensor(facts.std), persistent=False)

    @property
    def groups(self) -> list[list[nn.Module]]:
        """What may go on to learn while the rest is locked, from pixels to feature.

        Blocks of a transformer, or stages of a ResNet; the last has what follows it (the last norm, the pool)
        as well.
        """
        return []

    @abstractmethod
    def forward(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b grid"] | None = None,
        replace: bool = False,
    ) -> Encoded:
        """Encode a batch.

        Args:
            images: RGB bytes.
            hidden: True at grid positions that the tower must not see, row-major; the same number in every
                row. Kept on the CPU it costs no synchronisation with an accelerator.
            replace: hidden tokens are replaced by a learned mask token (BEiT) instead of dropped (MAE).

        Raises:
            SightwordError: the tower cannot hide tokens, or has no mask token.
        """

    def normalise(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Bytes to zero mean and unit deviation by the mean and deviation of the configuration."""
        scale, shift = self.normalisation()
        return images * scale.view(3, 1, 1) - shift.view(3, 1, 1)

    def normalisation(self) -> tuple[Float[Tensor, 3], Float[Tensor, 3]]:
        """What bytes of each channel are multiplied by, and what is then subtracted."""
        return 1 / (255 * self.std), self.mean / self.std


class TextTower(nn.Module, ABC):
    """Encodes captions.

    Attributes:
        facts: what an objective may know of the tower.
    """

    def __init__(self, facts: TextFacts) -> None:
        super().__init__()
        self.facts = facts

    @property
    def groups(self) -> list[list[nn.Module]]:
        """What may go on to learn while the rest is locked: layers, with the last one the norm behind it."""
        return []

    @abstractmethod
    def forward(
        self, words: Words, hidden: Bool[Tensor, "b length"] | None = None, replace: bool = False
    ) -> Encoded:
        """Encode a batch of captions.

        Args:
            words: token ids and lengths.
            hidden: True at tokens that the tower must not see; the end-of-text token is always seen.
            replace: hidden tokens are replaced by a learned mask token instead of dropped.

        Raises:
            SightwordError: `replace` without a mask token.
        """


def working_dtype(weight: Tensor) -> torch.dtype:
    """In which a linear map with this weight is computed here: autocast's where it is on, or the weight's."""
    kind = weight.device.type
    if kind == "meta":  # only shapes are asked for, and autocast knows no such device
        return weight.dtype
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def followed(groups: list[list[nn.Module]], behind: Sequence[nn.Module]) -> list[list[nn.Module]]:
    """Groups, the last of them with what follows it; without any there is nothing to follow."""
    return [*groups[:-1], [*groups[-1], *behind]] if groups else []
