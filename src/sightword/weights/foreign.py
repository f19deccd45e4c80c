"""A model that another library trained, told in our words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sightword.config import ModelConfig
from sightword.pairs.words.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Foreign:
    """Weights from elsewhere, by our names.

    family: whose they are, such as "open_clip", "SLIP" or "timm".
    where: the file or folder.
    model: shapes and hyper-parameters, read from the weights and what lies beside them.
    tensors: by the names of `Encoders.state_dict()`: `towers.image.`, `towers.text.` and `joint.`; of an
        image encoder alone only the first.
    tokenizer: of the captions that it learned with; None without a text tower.
    notes: what could not be read and was taken for granted, one line each, to be told to the user.
    """

    family: str
    where: str
    model: ModelConfig
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_text(self) -> bool:
        """Whether captions can be encoded, too."""
        return self.tokenizer is not None
