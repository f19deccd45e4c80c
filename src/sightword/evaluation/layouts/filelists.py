"""SLIP's `filelist` sets: pictures and labels as two arrays of NumPy a split."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import listed

TESTS = ("test", "val")


@final
class FileLists(Layout):
    """`train_images.npy` (paths), `train_labels.npy`, and the same for test or val, the first being scored.

    Labels are numbers in the card's order, or `count_10`, `count_3`, ... for CLEVR (facebookresearch/SLIP,
    datasets.py). Paths that are not absolute are taken from the folder of the lists.
    """

    cards = ("sun397", "clevr_counts")

    def lies_in(self, root: Path) -> bool:
        return any((root / f"{split}_images.npy").is_file() for split in TESTS)

    def open(self, root: Path, card: Card) -> Benchmark:
        tests = [split for split in TESTS if (root / f"{split}_images.npy").is_file()]
        test, *rest = (_split(root, card, split) for split in tests)
        train = _split(root, card, "train") if (root / "train_images.npy").is_file() else None
        return Benchmark(card.name, (test,), train, rest[0] if rest else None)


def _split(root: Path, card: Card, split: str) -> LabelledSet:
    source = root / f"{split}_images.npy"
    pictures = [str(path) for path in _array(card, source)]
    labels = [_label(card, str(label)) for label in _array(card, root / f"{split}_labels.npy")]
    if len(pictures) != len(labels):
        raise SightwordError(
            f"{card.title}: '{source}' has {len(pictures)} pictures for {len(labels)} labels"
        )
    return listed(card, split, root, pictures, labels, source)


def _label(card: Card, label: str) -> int:
    """The card's label of a number, or of a count in words."""
    if label.lstrip("-").isdecimal():
        return int(label)
    return place_in(card, label.removeprefix("count_"))


def _array(card: Card, path: Path) -> np.ndarray:
    """A one-dimensional array of numbers or words.

    Raises:
        SightwordError: when it is missing, broken, or holds Python objects.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise SightwordError(
            f"{card.title}: '{path}' is missing; it belongs beside the other lists"
        ) from error
    except Exception as error:  # the parser raises anything on broken bytes
        raise SightwordError(
            f"{card.title}: '{path}' is no plain array ({error}); save it again as words or numbers:"
            " np.save(path, np.array(list(values)))"
        ) from error
    return np.atleast_1d(found)
