"""An exported folder, read by sightword: as a run, or as weights from elsewhere."""

from __future__ import annotations

from pathlib import Path

import sightword
from sightword.export.target import Loaded
from sightword.training.model import load_model


def read_back(folder: Path) -> Loaded:
    """What the folder says by itself: shapes, activations, mean and deviation, tokenizer.

    Raises:
        SightwordError: it is not what `load_model` takes.
    """
    again, by = load_model(folder, "cpu"), f"sightword {sightword.__version__}"
    if again.has_text:
        return Loaded(by, lambda images: again.encode_image(images, project=True), again.encode_text)
    return Loaded(by, again.encode_image, pooled=True)
