"""Features of questions by a frozen text tower: of each wording once, kept in memory and in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from safetensors.numpy import save
from torch import Tensor

from sightword.errors import SightwordError
from sightword.evaluation.features import read_features
from sightword.evaluation.progress import watched
from sightword.evaluation.vqa.questions import QuestionSet
from sightword.pairs.files import write_whole
from sightword.training.model import Model

ROWS = 256  # wordings encoded at a time


class QuestionFeatures:
    """The text tower's own features of a set's questions, extracted when first asked for.

    Deviation from `FeatureStore`'s zero-shot prompts: not projected, because nothing is compared by cosine.
    """

    def __init__(self, model: Model, folder: Path | None) -> None:
        self._model, self._folder = model, folder
        self._held: dict[str, tuple[Float32[np.ndarray, "t e"], Int64[np.ndarray, " n"]]] = {}

    def of(self, part: QuestionSet, rows: Int64[np.ndarray, " b"]) -> Float[Tensor, "b e"]:
        """Features of some of a set's questions, float32.

        Raises:
            SightwordError: when the model answers with NaN.
        """
        if part.data_hash not in self._held:
            wordings = sorted(set(part.questions.texts), key=lambda text: (len(text), text))
            place = {text: i for i, text in enumerate(wordings)}
            which = np.array([place[text] for text in part.questions.texts], dtype=np.int64)
            self._held[part.data_hash] = self._features(part, wordings), which
        values, which = self._held[part.data_hash]
        return torch.from_numpy(values[which[rows]])

    def _features(self, part: QuestionSet, wordings: Sequence[str]) -> Float32[np.ndarray, "t e"]:
        path = self._folder / f"{part.name}-{part.split}-questions.safetensors" if self._folder else None
        hashed = hashlib.blake2b(repr(wordings).encode(), digest_size=16).hexdigest()
        facts = {"weights_hash": self._model.weights_hash, "wordings_hash": hashed}
        kept = _load(path, facts)
        if kept is not None:
            return kept
        values = encode_questions(self._model, wordings, f"questions of {part.name}/{part.split}")
        if path is not None:
            write_whole(path, lambda file: file.write(save({"pooled": values}, metadata=facts)))
        return values


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


def _load(path: Path | None, facts: dict[str, str]) -> Float32[np.ndarray, "t e"] | None:
    """What an earlier call kept of just this; nothing when it cannot be read."""
    if path is None or not path.is_file():
        return None
    try:
        tensors, about = read_features(path)
    except SightwordError:
        return None  # a cache that cannot be read is made again
    return tensors["pooled"] if all(about.get(name) == value for name, value in facts.items()) else None
