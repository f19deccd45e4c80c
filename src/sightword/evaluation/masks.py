"""Pictures with a class for every pixel: folders of pictures and masks, as ADE20K's and Pascal VOC's."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from PIL import Image

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.progress import watched
from sightword.evaluation.tars import IMAGES
from sightword.evaluation.textfiles import read_lines

IGNORED = -1  # the class of pixels that do not count
IGNORED_IN_FILES = 255
TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
ADE20K_NAMES = "objectInfo150.txt"
Mask = Int64[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class MaskedSet(LabelledSet):
    """Pictures and their masks. It has no classes of whole pictures.

    mask: of a picture by its position: the class of each pixel, counted into `regions`, or IGNORED.
    regions: names of the classes.
    """

    mask: Callable[[int], Mask] = field(default=lambda i: np.zeros((0, 0), dtype=np.int64), repr=False)
    regions: tuple[str, ...] = ()

    @cached_property
    def data_hash(self) -> str:
        """A hash of the pictures, of the masks and of the names; reads them all once."""
        digest = hashlib.blake2b(repr((super().data_hash, self.regions)).encode(), digest_size=16)
        for i in watched(range(len(self)), len(self), f"hash of masks of {self.name}/{self.split}"):
            try:
                mask = self.mask(i)
            except BadSample as problem:
                digest.update(problem.reason.encode())
                continue
            digest.update(repr(mask.shape).encode() + mask.astype("<i8").tobytes())
        return digest.hexdigest()


def is_masked(root: Path) -> bool:
    """Whether pictures and masks lie there."""
    return root.is_dir() and _layout(root) is not None


def open_masked(root: Path) -> Benchmark:
    """A folder of pictures and masks with parts to learn from and to test on.

    `images/PART/NAME.jpg` and `masks/PART/NAME.png` (or `annotations/`), PART being `train` and `val` or
    `test`; or Pascal VOC's `JPEGImages`, `SegmentationClass` and `ImageSets/Segmentation/PART.txt`. Masks are
    PNGs of one channel whose numbers are classes, from 0 in the order of `classnames.txt` (one line a class);
    255 does not count. Where ADE20K's `objectInfo150.txt` lies, classes are from 1 and 0 does not count. With
    all three parts settings are chosen on `val`; with two of them the other is the test.

    Raises:
        SightwordError: when names are missing, a part is, or a picture has no mask.
    """
    layout = _layout(root)
    assert layout is not None
    pictures, masks, parts = layout
    names, first = _names(root)
    sets = {
        split: _part(root.resolve().name, split, pictures, masks, stems, names, first)
        for split, stems in parts.items()
    }
    train, val, test = (
        next((sets[p] for p in sets if p in known), None) for known in (TRAIN, VALIDATION, TEST)
    )
    tests = tuple(one for one in (test or val,) if one is not None)
    if not tests:
        raise SightwordError(
            f"'{root}' has masks to learn from but none to test on; add a part 'test' or 'val'"
        )
    return Benchmark(
        root.resolve().name, tests, train, val if test is not None and train is not None else None
    )


def read_mask(data: bytes, key: str, first: int, classes: int) -> Mask:
    """A mask from a PNG.

    Args:
        data: the file.
        key: the sample's name, for the error.
        first: the number of the first class; lower ones do not count.
        classes: how many there are.

    Raises:
        BadSample: not a picture of one channel, or cut short.
        SightwordError: a number that is no class: then names and masks do not belong together.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            numbers = np.asarray(opened)
    except Exception as error:  # decoders raise anything on broken bytes
        raise BadSample(key, f"not a readable mask: {error}") from error
    if numbers.ndim != 2:
        raise BadSample(key, "a mask of several channels; wanted one, of class numbers")
    ids = numbers.astype(np.int64) - first
    ids[(numbers == IGNORED_IN_FILES) | (ids < 0)] = IGNORED
    if ids.max(initial=IGNORED) >= classes:
        raise SightwordError(
            f"the mask of '{key}' has class {ids.max() + first}, and there are names of {classes} classes;"
            " complete classnames.txt"
        )
    return ids


def _layout(root: Path) -> tuple[Path, Path, dict[str, list[str]]] | None:
    """The folders of pictures and masks, and the names of each part's pictures in them, without endings."""
    lists = root / "ImageSets" / "Segmentation"
    if lists.is_dir() and (root / "SegmentationClass").is_dir():
        parts = {part: read_lines(lists / f"{part}.txt") for part in ("train", "val", "test")}
        there = {
            part: [n for n in names if (root / f"SegmentationClass/{n}.png").is_file()]
            for part, names in parts.items()
        }
        return root / "JPEGImages", root / "SegmentationClass", {p: n for p, n in there.items() if n}
    for masks in (root / "masks", root / "annotations"):
        if masks.is_dir() and (root / "images").is_dir():
            found = {
                part.name: [f"{part.name}/{file.stem}" for file in sorted(part.glob("*.png"))]
                for part in sorted(masks.iterdir())
                if part.name in (*TRAIN, *VALIDATION, *TEST)
            }
            return root / "images", masks, {part: names for part, names in found.items() if names}
    return None


def _names(root: Path) -> tuple[tuple[str, ...], int]:
    """Names of the classes, and the number of the first in the masks."""
    published = read_lines(root / ADE20K_NAMES)
    names = read_lines(root / "classnames.txt")
    if published:
        return tuple(names or [line.split("\t")[-1].split(",")[0].strip() for line in published[1:]]), 1
    if not names:
        raise SightwordError(
            f"'{root}' has masks but no classnames.txt; write one, one line a class from number 0"
        )
    return tuple(names), 0


def _part(
    name: str,
    split: str,
    pictures: Path,
    masks: Path,
    stems: Sequence[str],
    regions: tuple[str, ...],
    first: int,
) -> MaskedSet:
    files = [_picture(pictures, stem) for stem in stems]

    def mask(i: int) -> Mask:
        return read_mask((masks / f"{stems[i]}.png").read_bytes(), stems[i], first, len(regions))

    return MaskedSet(name, split, tuple(stems), partial(_bytes, files), mask=mask, regions=regions)


def _bytes(files: Sequence[Path], i: int) -> bytes:
    return files[i].read_bytes()


def _picture(folder: Path, stem: str) -> Path:
    endings: Iterable[str] = (ending for kind in IMAGES for ending in (kind, kind.upper()))
    there = (folder / f"{stem}.{ending}" for ending in endings)
    found = next((path for path in there if path.is_file()), None)
    if found is None:
        raise SightwordError(
            f"the mask '{stem}.png' has no picture in '{folder}'; remove it or add the picture"
        )
    return found
