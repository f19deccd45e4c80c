"""Floor 7. An exported folder, read by the rooms that read weights from elsewhere."""

from __future__ import annotations

from pathlib import Path

import sightword
from sightword.config import Config
from sightword.export.target import Loaded
from sightword.pairs.words.tokenizer import ClipTokenizer
from sightword.training.model import Model
from sightword.training.saving.checkpoint import fit
from sightword.training.setup import Equipment, build_encoders
from sightword.weights.sources import open_weights


def read_back(folder: Path) -> Loaded:
    """What the folder says by itself: shapes, activations, mean and deviation, tokenizer.

    Raises:
        SightwordError: the folder is not what our own readers take.
    """
    found = open_weights(folder)
    tokenizer = found.tokenizer or ClipTokenizer(found.model.text.context)  # of pictures alone: never asked
    encoders = build_encoders(found.model, tokenizer, 0, Equipment.saved(found.tensors))
    fit(encoders, found.tensors, str(folder))
    again = Model(folder.name, Config(model=found.model), encoders, tokenizer, "", device="cpu")
    by = f"sightword {sightword.__version__}, which read it back"
    if found.has_text:
        return Loaded(by, lambda images: again.encode_image(images, project=True), again.encode_text)
    return Loaded(by, again.encode_image, pooled=True)
