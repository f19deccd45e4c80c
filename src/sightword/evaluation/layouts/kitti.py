"""KITTI's object pictures as its authors ship them, seen as VTAB's task: how far the closest vehicle is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import (
    fields_of,
    first_that,
    home_of,
    lines_of,
    listed_rows,
    must_exist,
    number_of,
)
from sightword.evaluation.progress import watched
from sightword.evaluation.textfiles import read_lines

INSIDE = ("object", "Kitti/raw")
MARKS = ("training/image_2", "training/label_2")
MAPPINGS = ("mapping", "devkit_object/mapping", "devkit/mapping")
VEHICLES = {"Car", "Van", "Truck"}
BOUNDS = np.array([8.0, 20.0])  # metres ahead of the camera (VTAB, data/kitti.py)
SEED, SHARE = 123, 10  # of TensorFlow Datasets' draw of drives: a tenth to test, a tenth to validate


@final
class Kitti(Layout):
    """`training/image_2/*.png`, `training/label_2/*.txt`, and the devkit's `mapping/`, which tells drives.

    Whole drives are drawn as TensorFlow Datasets draws them, on which VTAB and CLIP report: 6,347 pictures
    to learn from, 423 to validate, 711 to test. The publisher's test pictures have no labels.
    """

    cards = ("kitti_distance",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, *MARKS) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, *MARKS)
        assert home is not None
        mapping = first_that(card, (home / place for place in MAPPINGS))
        parts = parts_of(drives_of(card, mapping))
        train, validation, test = (_split(home, card, split, parts[split]) for split in parts)
        return Benchmark(card.name, (test,), train, validation)


def drives_of(card: Card, mapping: Path) -> list[str]:
    """The drive that each picture was taken on.

    `train_rand.txt` has for each picture the number, from 1, of its line in `train_mapping.txt`, whose
    second word is the drive.

    Raises:
        SightwordError: when a list is missing, or points at no line.
    """
    source = mapping / "train_rand.txt"
    drives = [row[1] for row in fields_of(card, mapping / "train_mapping.txt", 3)]
    words = " ".join(lines_of(card, source)).replace(",", " ").split()
    numbers = [number_of(card, word, source) for word in words]
    if not all(0 < number <= len(drives) for number in numbers):
        raise SightwordError(
            f"{card.title}: '{source}' has numbers beyond the {len(drives)} lines of train_mapping.txt"
        )
    return [drives[number - 1] for number in numbers]


def parts_of(drives: list[str]) -> Mapping[str, list[int]]:
    """The pictures of train, validation and test: a tenth of the drives each to the latter two."""
    mine = defaultdict[str, list[int]](list)
    for picture, drive in enumerate(drives):
        mine[drive].append(picture)
    share = max(1, SHARE * len(mine) // 100)
    draw = np.random.RandomState(SEED)  # its stream is frozen; theirs is the same
    test = set(draw.choice(sorted(mine), share, replace=False).tolist())
    validation = set(draw.choice(sorted(mine.keys() - test), share, replace=False).tolist())
    train = mine.keys() - test - validation
    chosen = {"train": train, "validation": validation, "test": test}
    return {split: sorted(i for drive in some for i in mine[drive]) for split, some in chosen.items()}


def places_by_distance(card: Card) -> tuple[int, ...]:
    """The card's classes from the nearest bin to none at all, as VTAB counts; the card's order is another."""
    words = ("left or right side", "nearby", "in the distance", "no car")
    return tuple(next(i for i, name in enumerate(card.classes) if word in name) for word in words)


def bin_of(card: Card, source: Path) -> int:
    """VTAB's label of one file of annotations: to 8 m, to 20 m, further, no vehicle.

    A line is `TYPE truncated occluded alpha`, a box of 4, 3 dimensions, `x y z` in metres, and a rotation.

    Raises:
        SightwordError: when a line is cut short.
    """
    depths = list[float]()
    for row in (line.split() for line in read_lines(source) if line):
        if len(row) < 15:
            raise SightwordError(f"{card.title}: '{source}' has a line of {len(row)} words, wanted 15")
        depths += [_metres(card, row[13], source)] if row[0] in VEHICLES else []
    return int(np.searchsorted(BOUNDS, min(depths), side="left")) if depths else len(BOUNDS) + 1


def _metres(card: Card, word: str, source: Path) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise SightwordError(f"{card.title}: '{source}' has '{word}' where a distance belongs") from error


def _split(home: Path, card: Card, split: str, pictures: list[int]) -> LabelledSet:
    labels = home / "training" / "label_2"
    must_exist(card, labels, [f"{picture:06d}.txt" for picture in pictures], home / "training" / "image_2")
    places = places_by_distance(card)
    read = watched(pictures, len(pictures), f"{card.name}: reading the labels of {split}")
    rows = [(f"{i:06d}.png", places[bin_of(card, labels / f"{i:06d}.txt")]) for i in read]
    return listed_rows(card, split, home / "training" / "image_2", rows, labels)
