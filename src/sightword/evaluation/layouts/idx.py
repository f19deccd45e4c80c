"""MNIST's idx files (and Fashion-MNIST's): big-endian headers, then bytes; plain or `.gz`."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np

from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import (
    Once,
    as_rgb,
    broken,
    checked,
    find_file,
    head,
    numbered,
    stored,
    the_file,
)

_BYTES = 0x08  # the header's code for unsigned bytes


@final
class Idx(Layout):
    """`train-images-idx3-ubyte` and its three siblings in one folder, also as `train-images.idx3-ubyte`.

    Format: http://yann.lecun.com/exdb/mnist/, "FILE FORMATS". Pixels are 0 for the background.

    card: of the data set; its files are named as any other's of this layout.
    torchvision: where torchvision puts them below its own root.
    """

    def __init__(self, card: str, torchvision: str) -> None:
        self.cards = (card,)
        self._below = (".", "raw", torchvision)

    def lies_in(self, root: Path) -> bool:
        return self._folder(root) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        folder = self._folder(root) or root
        train = _split(folder, card, "train", "train") if find_file(folder, _images("train")) else None
        return Benchmark(card.name, (_split(folder, card, "test", "t10k"),), train)

    def _folder(self, root: Path) -> Path | None:
        folders = (root / below for below in self._below)
        return next((folder for folder in folders if find_file(folder, _images("t10k"))), None)


def _images(part: str) -> tuple[str, str]:
    return f"{part}-images-idx3-ubyte", f"{part}-images.idx3-ubyte"


def _split(folder: Path, card: Card, split: str, part: str) -> LabelledSet:
    files = the_file(folder, *_images(part))
    names = the_file(folder, f"{part}-labels-idx1-ubyte", f"{part}-labels.idx1-ubyte")
    images, labels = _array(files, 3), _array(names, 1)()
    count = int.from_bytes(head(files, 8)[4:], "big")
    if count != len(labels):
        raise broken(names, f"has {len(labels):,} labels for {count:,} pictures", "as many")
    return split_of(
        card,
        split,
        numbered(count),
        lambda i: as_rgb(images()[i]),
        checked(labels, len(card.classes), names),
    )


def _array(path: Path, axes: int) -> Once[np.ndarray]:
    start = head(path, 4 + 4 * axes)
    if start[:4] != bytes((0, 0, _BYTES, axes)):
        what = f"begins with {start[:4].hex(' ')}"
        raise broken(path, what, f"00 00 08 0{axes}, unsigned bytes with {axes} axes")
    shape = tuple(int(size) for size in np.frombuffer(start, dtype=">u4", offset=4))
    return stored(path, len(start), "u1", shape)
