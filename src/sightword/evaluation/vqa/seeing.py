"""Where a head's two features come from: kept ones of frozen encoders, or encoders that are being trained."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from sightword.evaluation.features import FeatureStore
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.evaluation.vqa.reading import QuestionFeatures
from sightword.training.model import Model
from sightword.views.decode import decode
from sightword.words import Words

Rows = Int64[np.ndarray, " b"]


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a batch of questions needs, on the CPU.

    pictures: a row for each distinct picture: its feature (p, d), or pixels (p, 3, h, w); None without.
    of: for each question, its row there, shape (b,).
    questions: one row for each question: features (b, e), or words.
    """

    pictures: Tensor | None
    of: Int64[Tensor, " b"]
    questions: Tensor | Words


class Seeing(nn.Module, ABC):
    """Both features of questions about pictures. `load` may run in another thread than the rest.

    Attributes:
        blind: whether pictures are left out, which tells what can be answered without looking.
    """

    blind: bool

    def load(self, part: QuestionSet, rows: Rows) -> Loaded:
        """What these questions need; each picture once."""
        distinct, of = np.unique(part.questions.of[rows], return_inverse=True)
        pictures = None if self.blind else self.pictures(part, distinct)
        return Loaded(pictures, torch.from_numpy(of), self.questions(part, rows))

    @abstractmethod
    def pictures(self, part: QuestionSet, of: Rows) -> Tensor:
        """Of some pictures, a row each."""

    @abstractmethod
    def questions(self, part: QuestionSet, rows: Rows) -> Tensor | Words:
        """Of some questions, a row each."""

    @abstractmethod
    def forward(
        self, loaded: Loaded, device: torch.device
    ) -> tuple[Float[Tensor, "b d"] | None, Float[Tensor, "b e"]]:
        """The features of pictures, a row for each question, None without them; and those of questions."""


@final
class Kept(Seeing):
    """Features of frozen encoders, each extracted once."""

    def __init__(self, features: FeatureStore, asked: QuestionFeatures, blind: bool) -> None:
        super().__init__()
        self.blind = blind
        self._features, self._asked = features, asked

    def pictures(self, part: QuestionSet, of: Rows) -> Float[Tensor, "p d"]:
        found = self._features.of(part, "pooled")
        return torch.from_numpy(found.values["pooled"][np.searchsorted(found.rows, of)])

    def questions(self, part: QuestionSet, rows: Rows) -> Float[Tensor, "b e"]:
        return self._asked.of(part, rows)

    def forward(
        self, loaded: Loaded, device: torch.device
    ) -> tuple[Float[Tensor, "b d"] | None, Float[Tensor, "b e"]]:
        assert isinstance(loaded.questions, Tensor)
        seen = None if loaded.pictures is None else loaded.pictures[loaded.of].to(device)
        return seen, loaded.questions.to(device)


@final
class Trained(Seeing):
    """Copies of a model's towers, which learn. Each picture of a batch is encoded once."""

    def __init__(self, model: Model, blind: bool, precision: torch.dtype) -> None:
        super().__init__()
        self.blind = blind
        self._prepared, self._tokenizer, self._precision = model.preparation, model.tokenizer, precision
        names = ["text"] if blind else ["image", "text"]
        self.towers = nn.ModuleDict({name: copy.deepcopy(model.encoders.towers[name]) for name in names})

    def pictures(self, part: QuestionSet, of: Rows) -> UInt8[Tensor, "p 3 h w"]:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return self._prepared(list(threads.map(lambda i: pixels(part, int(i)), of)))

    def questions(self, part: QuestionSet, rows: Rows) -> Words:
        return self._tokenizer([part.questions.texts[row] for row in rows])

    def forward(
        self, loaded: Loaded, device: torch.device
    ) -> tuple[Float[Tensor, "b d"] | None, Float[Tensor, "b e"]]:
        assert isinstance(loaded.questions, Words)
        with torch.autocast(device.type, self._precision, enabled=self._precision != torch.float32):
            asked = self.towers["text"](loaded.questions.to(device)).pooled.float()
            if loaded.pictures is None:
                return None, asked
            seen = self.towers["image"](loaded.pictures.to(device)).pooled.float()
        # As an embedding, because the gradient of that adds up in one order on a GPU too.
        return F.embedding(loaded.of.to(device), seen), asked


def pixels(part: LabelledSet, i: int) -> UInt8[np.ndarray, "h w 3"]:
    """A picture that can be read, decoded."""
    found = part.read(i)
    return decode(found, part.keys[i]) if isinstance(found, bytes) else found
