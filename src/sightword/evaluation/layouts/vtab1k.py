"""VTAB-1k as it is passed on for parameter-efficient fine-tuning: lists of `PATH LABEL` beside pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.kitti import places_by_distance
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import lines_of, listed_rows, number_of

FEWEST = 3  # objects in a picture of CLEVR: label 0
SCENE_PAIR = ("jail cell", "jail indoor")  # TensorFlow Datasets sorts jail/indoor before jail_cell


@final
class Vtab1k(Layout):
    """`train800.txt`, `val200.txt`, `train800val200.txt` and `test.txt` in a folder a task.

    800 pictures to learn from, 200 to choose settings on, and the whole test part. Where only the 1,000
    together are there, they are what is learned from, and a part of them is held out to choose on. Labels
    are those of TensorFlow Datasets (task_adaptation/data), which number some classes otherwise than the
    cards do.
    """

    cards = (
        "caltech101", "cifar100", "dtd", "flowers", "pets", "svhn", "sun397", "patch_camelyon", "eurosat",
        "resisc45", "diabetic_retinopathy", "clevr_counts", "clevr_distance", "dmlab", "kitti_distance",
        "dsprites_location", "dsprites_orientation", "smallnorb_azimuth", "smallnorb_elevation",
    )  # fmt: skip

    def lies_in(self, root: Path) -> bool:
        learned = ("train800.txt", "train800val200.txt")
        return (root / "test.txt").is_file() and any((root / name).is_file() for name in learned)

    def open(self, root: Path, card: Card) -> Benchmark:
        places = places_by_label(card)
        test = _split(root, card, "test", places)
        if not (root / "train800.txt").is_file():
            return Benchmark(card.name, (test,), _split(root, card, "train800val200", places))
        train, validation = (_split(root, card, split, places) for split in ("train800", "val200"))
        return Benchmark(card.name, (test,), train, validation)


def places_by_label(card: Card) -> Sequence[int]:
    """The card's position of each of VTAB's labels.

    Equal for most. Pets and Caltech-101 count there by letter whatever its case, CLEVR from three objects
    on, KITTI from near to far, and two scenes of SUN397 stand the other way round.
    """
    if card.name in ("pets", "caltech101"):
        return [place_in(card, name) for name in sorted(card.ids, key=str.lower)]
    if card.name == "clevr_counts":
        return [place_in(card, str(FEWEST + label)) for label in range(len(card.classes))]
    if card.name == "kitti_distance":
        return places_by_distance(card)
    places = list(range(len(card.classes)))
    if card.name == "sun397":
        one, other = (place_in(card, name) for name in SCENE_PAIR)
        places[one], places[other] = other, one
    return places


def _split(root: Path, card: Card, split: str, places: Sequence[int]) -> LabelledSet:
    source = root / f"{split}.txt"
    rows = [line.rpartition(" ") for line in lines_of(card, source)]
    numbers = [number_of(card, number, source) for _, _, number in rows]
    if not 0 <= min(numbers) <= max(numbers) < len(places):
        raise SightwordError(
            f"{card.title}: '{source}' has labels from {min(numbers)} to {max(numbers)};"
            f" wanted 0 to {len(places) - 1}"
        )
    name = split if split != "test" else "vtab1k_test"
    paths = (path.strip() for path, _, _ in rows)
    return listed_rows(
        card, name, root, [(path, places[i]) for path, i in zip(paths, numbers, strict=True)], source
    )
