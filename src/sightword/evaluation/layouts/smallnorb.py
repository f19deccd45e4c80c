"""SmallNORB's binary matrices: pairs of gray pictures of toys, with how each was turned."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64

from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.drawn import drawn_rows, part_name
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

_TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training"
_TEST = "smallnorb-5x01235x9x18x6x2x96x96-testing"
_KINDS = {0x1E3D4C55: "u1", 0x1E3D4C54: "<i4"}
_LABELS = 4  # instance, elevation, azimuth, lighting
_SHARES = (50, 50)  # of the publisher's test part: validation, test


@final
class SmallNorb(Layout):
    """`...-training-{dat,info}.mat` and `...-testing-{dat,info}.mat`, each plain or `.gz`.

    Format: https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/. As VTAB (1910.04867, its released code) has it:
    the first picture of each pair; azimuths 0, 2, ... 34 (times ten degrees) halved; half of the publisher's
    test part is for validation and the other half for the test. Deviation: which pictures come into which
    half is drawn by us, as VTAB's halves follow from how TensorFlow Datasets shuffles its files.
    """

    cards = ("smallnorb_azimuth", "smallnorb_elevation")

    def lies_in(self, root: Path) -> bool:
        return find_file(root, [f"{_TEST}-dat.mat"]) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        test = _Part(root, _TEST, card)
        validation_rows, test_rows = drawn_rows("smallnorb", len(test.labels), _SHARES)
        train = _Part(root, _TRAIN, card) if find_file(root, [f"{_TRAIN}-dat.mat"]) else None
        return Benchmark(
            card.name,
            (test.set(part_name("test", _SHARES[1]), test_rows),),
            None if train is None else train.set("train", np.arange(len(train.labels))),
            test.set(part_name("validation", _SHARES[0]), validation_rows),
        )


class _Part:
    """The publisher's training or testing part."""

    def __init__(self, root: Path, name: str, card: Card) -> None:
        files, facts = the_file(root, f"{name}-dat.mat"), the_file(root, f"{name}-info.mat")
        self.card, self.pixels = card, _matrix(files, "u1", (2, 96, 96))
        labels = np.asarray(_matrix(facts, "<i4", (_LABELS,))())
        if len(labels) != _count(files):
            raise broken(facts, f"has {len(labels):,} rows for {_count(files):,} pairs", "as many")
        self.labels = checked(_turned(labels, card, facts), len(card.classes), facts)
        self.keys = numbered(len(labels))

    def set(self, split: str, rows: Int64[np.ndarray, " m"]) -> LabelledSet:
        return split_of(
            self.card,
            split,
            [self.keys[row] for row in rows],
            lambda i: as_rgb(self.pixels()[rows[i], 0]),
            self.labels[rows],
        )


def _turned(labels: np.ndarray, card: Card, path: Path) -> np.ndarray:
    if card.name == "smallnorb_elevation":
        return labels[:, 1]
    odd = labels[labels[:, 2] % 2 != 0, 2]
    if odd.size:
        raise broken(path, f"says the azimuth {odd[0]}", "0, 2, 4, ... 34")
    return labels[:, 2] // 2


def _matrix(path: Path, kind: str, inner: tuple[int, ...]) -> Once[np.ndarray]:
    """A binary matrix: magic, number of axes, at least three sizes (all little-endian), values."""
    magic, axes = np.frombuffer(head(path, 8), dtype="<u4").tolist()
    if _KINDS.get(magic) != kind or axes != len(inner) + 1:
        raise broken(
            path, f"begins with magic 0x{magic:08X} and {axes} axes", f"{kind} of {len(inner) + 1} axes"
        )
    bytes_of_header = 8 + 4 * max(3, axes)
    shape = tuple(np.frombuffer(head(path, bytes_of_header), dtype="<i4", offset=8)[:axes].tolist())
    if shape[1:] != inner or shape[0] < 1:
        raise broken(path, f"is a matrix of {shape}", f"n x {' x '.join(map(str, inner))}")
    return stored(path, bytes_of_header, kind, shape)


def _count(path: Path) -> int:
    return int.from_bytes(head(path, 12)[8:], "little")
