"""Oxford Flowers 102 as VGG ships it: `jpg/image_00001.jpg` and on, labels and splits in Matlab's files."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, listed_rows
from sightword.evaluation.layouts.matfiles import variable_of

INSIDE = ("flowers-102", "102flowers")
SPLITS = {"train": "trnid", "validation": "valid", "test": "tstid"}


@final
class Flowers(Layout):
    """`imagelabels.mat` has a label from 1 to 102 for each picture; `setid.mat` numbers the splits' pictures.

    1,020 pictures to learn from, 1,020 to validate, 6,149 to test, as `setid.mat` says; some papers swap
    the first and the last.
    """

    cards = ("flowers",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, "jpg", "imagelabels.mat") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, "jpg", "imagelabels.mat")
        assert home is not None
        labels = variable_of(card, home / "imagelabels.mat", "labels").astype(np.int64)
        sets = {split: _split(home, card, split, labels) for split in SPLITS}
        return Benchmark(card.name, (sets["test"],), sets["train"], sets["validation"])


def _split(home: Path, card: Card, split: str, labels: np.ndarray) -> LabelledSet:
    source = home / "setid.mat"
    numbers = variable_of(card, source, SPLITS[split]).astype(np.int64).tolist()
    if not all(0 < number <= len(labels) for number in numbers):
        raise SightwordError(
            f"{card.title}: '{source}' numbers pictures beyond the {len(labels)} that have labels"
        )
    rows = [(f"image_{number:05d}.jpg", int(labels[number - 1]) - 1) for number in numbers]
    return listed_rows(card, split, home / "jpg", rows, source)
