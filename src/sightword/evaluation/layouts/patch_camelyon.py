"""PatchCamelyon's HDF5 files. They need the optional package h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import Once, broken, checked, find_file, numbered, the_file

_FILE = "camelyonpatch_level_2_split_{}_{}.h5"
_SIDE = 96
_BELOW = (".", "pcam")  # torchvision puts them into the second


@final
class PatchCamelyon(Layout):
    """`camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5`, unpacked; label 1 is tumour in the middle.

    Source: https://github.com/basveeling/pcam. Pictures are read one at a time. Deviation: SLIP's numbers
    are of the `valid` part (its list of data sets says so); ours are of `test`.
    """

    cards = ("patch_camelyon",)

    def lies_in(self, root: Path) -> bool:
        return any(find_file(root / below, [_FILE.format("test", "x")]) for below in _BELOW)

    def open(self, root: Path, card: Card) -> Benchmark:
        name = _FILE.format("test", "x")
        home = next((root / below for below in _BELOW if find_file(root / below, [name])), root)

        def other(part: str, split: str) -> LabelledSet | None:
            there = find_file(home, [_FILE.format(part, "x"), _FILE.format(part, "y")])
            return _split(home, card, part, split) if there else None

        test = _split(home, card, "test", "test")
        return Benchmark(card.name, (test,), other("train", "train"), other("valid", "validation"))


def _split(root: Path, card: Card, part: str, split: str) -> LabelledSet:
    files, names = (the_file(root, _FILE.format(part, which)) for which in "xy")
    labels, pixels = np.asarray(_array(names, "y")).ravel(), Once(lambda: _array(files, "x"))
    found, wanted = _array(files, "x"), (len(labels), _SIDE, _SIDE, 3)
    if found.shape != wanted or found.dtype != np.uint8 or not len(labels):
        raise broken(
            files, f"holds {found.dtype} of {found.shape}", f"bytes of {wanted}, as '{names.name}' says"
        )
    found.file.close()

    def picture(i: int) -> UInt8[np.ndarray, "96 96 3"]:
        try:
            return np.asarray(pixels()[i])
        except OSError as error:
            raise broken(files, f"cannot be read at picture {i} ({error})", "a whole file") from error

    return split_of(card, split, numbered(len(labels)), picture, checked(labels, len(card.classes), names))


def _array(path: Path, name: str) -> Any:
    """An array in a file, not yet read; the file stays open with it."""
    if path.suffix == ".gz":
        raise SightwordError(f"'{path}' is packed; run: gunzip '{path}'")
    try:
        import h5py
    except ImportError as error:
        raise SightwordError(
            f"'{path}' is an HDF5 file, for which the package h5py is missing; run: pip install h5py"
        ) from error
    try:
        return h5py.File(path, "r")[name]
    except (OSError, KeyError) as error:
        raise broken(path, f"has no readable array '{name}' ({error})", "PatchCamelyon's HDF5") from error
