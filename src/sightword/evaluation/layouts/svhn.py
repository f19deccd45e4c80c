"""Street View House Numbers, cropped digits: MATLAB files of version 5, ten meaning zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8
from scipy.io import loadmat, whosmat

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import Once, broken, checked, numbered

_WANTED = "X of 32 x 32 x 3 x n bytes and y of n labels"


@final
class Svhn(Layout):
    """`test_32x32.mat` and `train_32x32.mat` ("Format 2"); `extra_32x32.mat` is not looked at.

    Source: http://ufldl.stanford.edu/housenumbers/. The publisher's label 10 is the digit 0.
    """

    cards = ("svhn",)

    def lies_in(self, root: Path) -> bool:
        return (root / "test_32x32.mat").is_file()

    def open(self, root: Path, card: Card) -> Benchmark:
        train = root / "train_32x32.mat"
        return Benchmark(
            card.name,
            (_split(root / "test_32x32.mat", card, "test"),),
            _split(train, card, "train") if train.is_file() else None,
        )


def _split(path: Path, card: Card, split: str) -> LabelledSet:
    labels = _variable(path, "y").ravel()
    count = len(labels)
    shapes = {name: shape for name, shape, _ in _read(path, whosmat)}
    if shapes.get("X") != (32, 32, 3, count) or not count or labels.dtype.kind not in "iu":
        raise broken(path, f"holds X of {shapes.get('X')} and {count:,} labels", _WANTED)
    pixels = Once(lambda: _pixels(path))

    def picture(i: int) -> UInt8[np.ndarray, "32 32 3"]:
        return np.ascontiguousarray(pixels()[..., i])

    digits = np.where(labels == 10, 0, np.where(labels == 0, -1, labels.astype(np.int64)))
    return split_of(card, split, numbered(count), picture, checked(digits, len(card.classes), path))


def _pixels(path: Path) -> np.ndarray:
    found = _variable(path, "X")
    if found.dtype != np.uint8:
        raise broken(path, f"holds X of {found.dtype}", _WANTED)
    return found


def _variable(path: Path, name: str) -> np.ndarray:
    found = _read(path, lambda file: loadmat(file, variable_names=[name])).get(name)
    if not isinstance(found, np.ndarray):
        raise broken(path, f"holds no {name}", _WANTED)
    return found


def _read(path: Path, how: Any) -> Any:
    try:
        return how(str(path))
    except SightwordError:
        raise
    except Exception as error:  # the parser raises anything on broken bytes
        raise broken(path, f"cannot be read ({error})", f"MATLAB's version 5 with {_WANTED}") from error
