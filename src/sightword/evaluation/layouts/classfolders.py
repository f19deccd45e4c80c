"""Class folders below `train` and a test folder of any usual name, as SLIP has most of its sets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout, read_file, split_of
from sightword.evaluation.layouts.listed import is_picture
from sightword.evaluation.layouts.numbers import places_by_number
from sightword.evaluation.progress import watched

TRAIN = ("train", "train_images")
TESTS = ("test", "val", "val_images", "valid", "validation", "dev")  # the first that is there is scored


@final
class ClassFolders(Layout):
    """`train/CLASS/PICTURE` and `test/CLASS/PICTURE`; the test folder may be val, val_images, valid or dev.

    Where there are two of them the first is scored, and the second is what settings are chosen on. SLIP's
    catalogue (facebookresearch/SLIP, dataset_catalog.json) scores val or dev where it has no test.
    """

    cards = (
        "food101", "cub200", "cars", "aircraft", "dtd", "pets", "caltech101", "flowers", "fer2013", "eurosat",
        "resisc45", "gtsrb", "kitti_distance", "country211", "patch_camelyon", "ucf101_frames",
        "kinetics700_frames", "hateful_memes", "rendered_sst2", "imagenet",
    )  # fmt: skip

    def lies_in(self, root: Path) -> bool:
        return bool(_there(root, TESTS)) and not (root / "classnames.txt").exists()

    def open(self, root: Path, card: Card) -> Benchmark:
        tests, trains = _there(root, TESTS), _there(root, TRAIN)
        folders = sorted({name for part in (*tests, *trains) for name in class_folders(part)})
        places = places_of(card, folders, root)
        train = folder_set(card, trains[0].name, trains[0], places) if trains else None
        test, *rest = (folder_set(card, part.name, part, places) for part in tests[:2])
        return Benchmark(card.name, (test,), train, rest[0] if rest else None)


def folder_set(card: Card, split: str, part: Path, places: Mapping[str, int]) -> LabelledSet:
    """A split of class folders, each picture however deep in its folder.

    Args:
        card: whose.
        split: its name.
        part: the folder of class folders.
        places: the label of each class folder.
    """
    folders = class_folders(part)
    pictures, labels = list[str](), list[int]()
    for folder in watched(folders, len(folders), f"{card.name}: looking through {part}"):
        mine = [name for name in _files(part / folder) if is_picture(name.rpartition("/")[2])]
        pictures += [f"{folder}/{name}" for name in mine]
        labels += [places[folder]] * len(mine)
    return split_of(card, split, pictures, read_file(part, pictures), np.array(labels, dtype=np.int64))


def class_folders(part: Path) -> list[str]:
    """The names of the folders inside a folder, sorted."""
    if not part.is_dir():
        return []
    with os.scandir(part) as found:
        return sorted(entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))


def places_of(card: Card, folders: Sequence[str], root: Path) -> dict[str, int]:
    """The label of each class folder, as the card counts.

    By the publisher's names, of which some may be missing; else by the names of the classes; else, where all
    are there, by number (`numbers.py`: a publisher numbers classes otherwise than the card); else in sorted
    order, as torchvision's ImageFolder counts.

    Raises:
        SightwordError: when none of this fits.
    """
    for names in (card.ids, tuple(_plain(name) for name in card.classes)):
        known = {name: i for i, name in enumerate(names)}
        found = [known.get(folder, known.get(_plain(folder), -1)) for folder in folders]
        if len(known) == len(card.classes) and -1 not in found and len(set(found)) == len(found):
            return dict(zip(folders, found, strict=True))
    if len(folders) != len(card.classes):
        raise SightwordError(
            f"'{root}' has {len(folders)} class folders, {card.title} has {len(card.classes)} classes;"
            " add the missing ones, or write classnames.txt beside them"
        )
    if all(folder.isdecimal() for folder in folders):
        return places_by_number(card, folders, root)
    return _in_order(card, folders, root)


def _in_order(card: Card, folders: Sequence[str], root: Path) -> dict[str, int]:
    """Labels in sorted order, unless folders that bear a class's name stand elsewhere then."""
    known = {_plain(name): i for names in (card.classes, card.ids) for i, name in enumerate(names)}
    places = {folder: i for i, folder in enumerate(sorted(folders))}
    if any(known.get(_plain(folder), place) != place for folder, place in places.items()):
        strange = [folder for folder in places if _plain(folder) not in known] or list(places)
        raise SightwordError(
            f"only some of the class folders of '{root}' are named after classes of {card.title}, and"
            f" '{strange[0]}' is not; name it as the publisher does, or write classnames.txt beside them"
        )
    return places


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()


def _there(root: Path, names: Sequence[str]) -> list[Path]:
    return [root / name for name in names if class_folders(root / name)]


def _files(folder: Path) -> list[str]:
    """All files below a folder, as paths from it, sorted."""
    found = (
        Path(where, name).relative_to(folder).as_posix() if where != str(folder) else name
        for where, _, names in os.walk(folder, followlinks=True)
        for name in names
    )
    return sorted(found)
