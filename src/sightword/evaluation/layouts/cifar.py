"""CIFAR-10 and CIFAR-100 as their publisher ships them: the binary version, or the one for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64, UInt8

from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.cifar_pickle import read_batch
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.stored import Once, broken, checked, stored, the_file

_SHAPE = (3, 32, 32)  # red, green, blue, each row by row


@dataclass(frozen=True)
class _Form:
    """How one of the two sets names things."""

    folders: tuple[str, str]  # of the binary version, and the one for Python
    train: tuple[str, ...]
    test: str
    label_bytes: int  # before each picture; the last one counts
    label_name: str  # in the version for Python


_FORMS = {
    "cifar10": _Form(
        ("cifar-10-batches-bin", "cifar-10-batches-py"),
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
        1,
        "labels",
    ),
    "cifar100": _Form(("cifar-100-binary", "cifar-100-python"), ("train",), "test", 2, "fine_labels"),
}


@dataclass(frozen=True)
class _Part:
    """One file: its pictures, mapped, shape (n, 3, 32, 32), and their labels."""

    name: str
    pixels: Once[np.ndarray]
    labels: Int64[np.ndarray, " n"]


@final
class Cifar(Layout):
    """`data_batch_1.bin` or `data_batch_1` and so on; of CIFAR-100 the fine labels.

    Format: https://www.cs.toronto.edu/~kriz/cifar.html. The version for Python is a pickle: it is read as
    data, nothing in it is imported or called.
    """

    def __init__(self, card: str) -> None:
        self.cards = (card,)
        self._form = _FORMS[card]

    def lies_in(self, root: Path) -> bool:
        return self._folder(root) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        folder, suffix = self._folder(root) or (root, ".bin")
        train = self._split(folder, suffix, card, "train", self._form.train)
        return Benchmark(card.name, (self._split(folder, suffix, card, "test", (self._form.test,)),), train)

    def _folder(self, root: Path) -> tuple[Path, str] | None:
        """Where the files lie, and their suffix."""
        binary, python = self._form.folders
        found = (
            (folder, suffix)
            for below, suffix in ((".", ".bin"), (binary, ".bin"), (".", ""), (python, ""))
            if ((folder := root / below) / f"{self._form.test}{suffix}").is_file()
        )
        return next(found, None)

    def _split(self, folder: Path, suffix: str, card: Card, split: str, names: Sequence[str]) -> LabelledSet:
        paths = [the_file(folder, f"{name}{suffix}") for name in names]
        read = _binary if suffix else _pickled
        parts = [read(path, self._form, len(card.classes)) for path in paths]
        ends = np.cumsum([len(part.labels) for part in parts])
        keys = [f"{part.name}/{i:05d}" for part in parts for i in range(len(part.labels))]

        def picture(i: int) -> UInt8[np.ndarray, "32 32 3"]:
            at = int(np.searchsorted(ends, i, side="right"))
            row = i - int(ends[at]) + len(parts[at].labels)
            return np.array(parts[at].pixels()[row].reshape(_SHAPE).transpose(1, 2, 0))

        return split_of(card, split, keys, picture, np.concatenate([part.labels for part in parts]))


def _binary(path: Path, form: _Form, classes: int) -> _Part:
    record = np.dtype([("labels", "u1", (form.label_bytes,)), ("pixels", "u1", _SHAPE)])
    size = path.stat().st_size
    if not size or size % record.itemsize:
        raise broken(path, f"has {size:,} bytes", f"whole records of {record.itemsize:,}")
    rows = stored(path, 0, record, (size // record.itemsize,))
    labels = checked(np.asarray(rows()["labels"][:, -1]), classes, path)
    return _Part(path.stem, Once(lambda: rows()["pixels"]), labels)


def _pickled(path: Path, form: _Form, classes: int) -> _Part:
    at, shape, labels = read_batch(path, form.label_name)
    if len(shape) != 2 or shape[1] != np.prod(_SHAPE) or shape[0] != len(labels):
        raise broken(path, f"holds {shape} bytes for {len(labels):,} labels", "3,072 for each")
    pixels = Once[np.ndarray](lambda: np.memmap(path, np.uint8, "r", at, shape))
    return _Part(path.name, pixels, checked(np.array(labels, dtype=np.int64), classes, path))
