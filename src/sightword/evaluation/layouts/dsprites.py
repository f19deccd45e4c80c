"""dSprites' npz: 737,280 black and white shapes, with what they were drawn from."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int64, UInt8

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.drawn import drawn_rows, part_name
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import BROKEN, Once, as_rgb, broken, checked

_FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
_SIDE = 64
_CHUNK = 4096  # pictures unpacked at a time
_SHARES = (80, 10, 10)  # train, validation, test: VTAB's
# For each card, the column of `latents_classes` and how many values it has.
_LATENTS = {"dsprites_orientation": (3, 40), "dsprites_location": (4, 32)}


@final
class DSprites(Layout):
    """One file of arrays. As VTAB (1910.04867, its released code) has it: 16 bins of orientation (of 40
    values) and of the horizontal place (of 32), 80 % train, 10 % validation, 10 % test.

    Format: https://github.com/google-deepmind/dsprites-dataset. Deviation: which pictures come into which
    part is drawn by us, as VTAB's parts follow from how TensorFlow Datasets shuffles its files. The last of
    the orientations is a full turn and looks like the first; VTAB puts it into the last bin, so we do.
    Pictures are unpacked once, when first asked for, and kept at a bit a pixel: 377 MB instead of 3 GB.
    """

    cards = tuple(_LATENTS)

    def lies_in(self, root: Path) -> bool:
        return (root / _FILE).is_file() or (root.name == _FILE and root.is_file())

    def open(self, root: Path, card: Card) -> Benchmark:
        path = root if root.is_file() else root / _FILE
        column, values = _LATENTS[card.name]
        latents = _latents(path, _count(path))
        known = checked(latents[:, column], values, path)
        labels = known * len(card.classes) // values
        pictures = Once(lambda: _pictures(path))

        def part(name: str, percent: int, rows: Int64[np.ndarray, " m"]) -> LabelledSet:
            keys = [f"{row:06d}" for row in rows]
            return split_of(
                card, part_name(name, percent), keys, lambda i: _one(pictures(), int(rows[i])), labels[rows]
            )

        rows = drawn_rows("dsprites", len(labels), _SHARES)
        names = ("train", "validation", "test")
        train, validation, test = map(part, names, _SHARES, rows)
        return Benchmark(card.name, (test,), train, validation)


def _one(pictures: UInt8[np.ndarray, "n b"], row: int) -> UInt8[np.ndarray, "64 64 3"]:
    return as_rgb(np.unpackbits(pictures[row]).reshape(_SIDE, _SIDE) * np.uint8(255))


def _latents(path: Path, count: int) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = np.asarray(arrays["latents_classes"])
    except (ValueError, KeyError, zipfile.BadZipFile, *BROKEN) as error:
        raise broken(path, f"has no readable latents_classes ({error})", "dSprites' npz") from error
    if found.shape != (count, 6) or found.dtype.kind not in "iu":
        raise broken(
            path, f"has latents_classes of {found.shape}", f"six whole numbers for {count:,} pictures"
        )
    return found


def _count(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as file:
            return _header(file, path)
    except (ValueError, KeyError, zipfile.BadZipFile, *BROKEN) as error:
        raise broken(path, f"has no readable imgs ({error})", "dSprites' npz") from error


def _header(file: Any, path: Path) -> int:
    """How many pictures follow."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(file)
    if len(shape) != 3 or shape[1:] != (_SIDE, _SIDE) or by_columns or kind != np.uint8 or not shape[0]:
        raise broken(path, f"has imgs of {shape} {kind}", f"bytes, n x {_SIDE} x {_SIDE}")
    return int(shape[0])


def _pictures(path: Path) -> UInt8[np.ndarray, "n b"]:
    """All pictures at a bit a pixel."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as file:
            count = _header(file, path)
            if count * _SIDE**2 > 1 << 28:
                print(f"unpacking '{path}', {count:,} pictures, into memory", file=sys.stderr)
            made = np.empty((count, _SIDE**2 // 8), dtype=np.uint8)
            for start in range(0, count, _CHUNK):
                stop = min(start + _CHUNK, count)
                made[start:stop] = _bits(file.read((stop - start) * _SIDE**2), stop - start, path)
            return made
    except SightwordError:
        raise
    except (ValueError, KeyError, zipfile.BadZipFile, *BROKEN) as error:
        raise broken(path, f"cannot be unpacked ({error})", "a whole file") from error


def _bits(data: bytes, count: int, path: Path) -> UInt8[np.ndarray, "n b"]:
    pixels = np.frombuffer(data, dtype=np.uint8)
    if len(pixels) != count * _SIDE**2:
        raise broken(path, "ends before its last picture", "a whole file")
    if pixels.max() > 1:
        raise broken(path, f"has a pixel {pixels.max()}", "zeros and ones")
    return np.packbits(pixels.reshape(count, _SIDE**2), axis=1)
