"""STL-10's binary version: pictures column by column, labels from 1."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import broken, checked, numbered, stored, the_file

_SHAPE = (3, 96, 96)  # red, green, blue, each column by column
_FOLDERS = (".", "stl10_binary")


@final
class Stl10(Layout):
    """`train_X.bin`, `train_y.bin`, `test_X.bin`, `test_y.bin`; `unlabeled_X.bin` is not looked at.

    Format: https://cs.stanford.edu/~acoates/stl10/, "Binary files". Training is on all 5,000 pictures, as
    SLIP's and CLIP's probes are, not on the publisher's ten folds of 1,000 (`fold_indices.txt`).
    """

    cards = ("stl10",)

    def lies_in(self, root: Path) -> bool:
        return any((root / folder / "test_X.bin").is_file() for folder in _FOLDERS)

    def open(self, root: Path, card: Card) -> Benchmark:
        below = next((below for below in _FOLDERS if (root / below / "test_X.bin").is_file()), ".")
        test, train = (_split(root / below, card, split) for split in ("test", "train"))
        return Benchmark(card.name, (test,), train)


def _split(root: Path, card: Card, split: str) -> LabelledSet:
    files, names = the_file(root, f"{split}_X.bin"), the_file(root, f"{split}_y.bin")
    labels = np.frombuffer(names.read_bytes(), dtype=np.uint8)
    if not len(labels):
        raise broken(names, "is empty", "a label for each picture")
    pixels = stored(files, 0, "u1", (len(labels), *_SHAPE))

    def picture(i: int) -> UInt8[np.ndarray, "96 96 3"]:
        return np.array(pixels()[i].transpose(2, 1, 0))

    mapped = checked(labels.astype(np.int64) - 1, len(card.classes), names)
    return split_of(card, split, numbered(len(labels)), picture, mapped)
