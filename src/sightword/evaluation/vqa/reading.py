"""Features of questions by a frozen text tower: of each wording once, kept as those of pictures are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.features import FeatureStore
from sightword.evaluation.progress import watched
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.training.model import Model
from sightword.training.records import digest

ROWS = 256  # wordings encoded at a time


class QuestionFeatures:
    """The text tower's own features of a set's questions, extracted when first asked for.

    Not projected into the joint space, as those of zero-shot prompts are: nothing is compared by cosine.
    """

    def __init__(self, features: FeatureStore) -> None:
        self._store = features
        self._held: dict[str, tuple[Float32[np.ndarray, "t e"], Int64[np.ndarray, " n"]]] = {}

    def of(self, part: QuestionSet, rows: Int64[np.ndarray, " b"]) -> Float[Tensor, "b e"]:
        """Features of some of a set's questions, float32.

        Raises:
            SightwordError: when the model answers with NaN.
        """
        if part.data_hash not in self._held:
            self._held[part.data_hash] = self._features(part)
        values, which = self._held[part.data_hash]
        return torch.from_numpy(values[which[rows]])

    def _features(self, part: QuestionSet) -> tuple[Float32[np.ndarray, "t e"], Int64[np.ndarray, " n"]]:
        # Like lengths side by side: a batch is as long as its longest.
        wordings = sorted(set(part.questions.texts), key=lambda text: (len(text), text))
        place = {text: i for i, text in enumerate(wordings)}
        model, name = self._store.model, f"{part.name}-{part.split}-questions"
        assert isinstance(model, Model)
        values = self._store.kept(
            name,
            digest(repr(wordings)),
            lambda: encode_questions(model, wordings, f"questions of {part.name}/{part.split}"),
        )
        return values, np.array([place[text] for text in part.questions.texts], dtype=np.int64)


@torch.no_grad()
def encode_questions(model: Model, texts: Sequence[str], what: str) -> Float32[np.ndarray, "t e"]:
    """The text tower's own features, before any projection.

    Args:
        model: with a text tower.
        texts: those of like length lie best side by side.
        what: they are, for the bar.

    Raises:
        SightwordError: when the model answers with NaN.
    """
    model.encoders.eval()
    tower, parts = model.encoders.towers["text"], list[Tensor]()
    for start in watched(range(0, len(texts), ROWS), len(texts), what, ROWS):
        words = model.tokenizer(list(texts[start : start + ROWS]))
        parts.append(tower(words.to(model.device)).pooled.float().cpu())
    found = torch.cat(parts)
    if not bool(found.isfinite().all()):
        raise SightwordError(
            f"run '{model.name}' answers with NaN or Inf; its weights are broken, train it again"
        )
    return found.numpy()
