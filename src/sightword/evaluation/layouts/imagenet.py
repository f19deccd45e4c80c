"""ImageNet-1k as shipped: validation pictures in one flat folder, their classes in the devkit or a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark
from sightword.evaluation.layouts.classfolders import class_folders, folder_set
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, lines_of, listed_rows, number_of
from sightword.evaluation.layouts.matfiles import field_of

FIRST = "ILSVRC2012_val_00000001.JPEG"
VALIDATION = (
    ".", "val", "ILSVRC2012_img_val", "Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/val", "CLS-LOC/val",
)  # fmt: skip
TRAIN = ("train", "ILSVRC2012_img_train", "Data/CLS-LOC/train", "ILSVRC/Data/CLS-LOC/train", "CLS-LOC/train")
DEVKIT = ("ILSVRC2012_devkit_t12/data", "devkit/data", "data", ".", "..", "../ILSVRC2012_devkit_t12/data")
TRUTH, TABLE = "ILSVRC2012_validation_ground_truth.txt", "LOC_val_solution.csv"
WORDNET = re.compile(r"n\d{8}")


@final
class FlatImageNet(Layout):
    """`ILSVRC2012_val_00000001.JPEG` and on, 50,000 of them, with one of

    the devkit: `ILSVRC2012_validation_ground_truth.txt` has the class number of each, `meta.mat` says which
    WordNet id a number is (the devkit's own order, not that of the labels); or
    `LOC_val_solution.csv`: a name and its WordNet id a line.

    `train/WORDNET-ID/PICTURE` is read where it is there. Pictures that lie in folders of their WordNet ids
    are read by another layout.
    """

    cards = ("imagenet",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, VALIDATION, FIRST) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, VALIDATION, FIRST)
        assert home is not None
        ids, source = _truth(card, root)
        rows = [(f"ILSVRC2012_val_{i + 1:08d}.JPEG", place_in(card, name)) for i, name in enumerate(ids)]
        test = listed_rows(card, "val", home, rows, source)
        part = next((root / name for name in TRAIN if (root / name).is_dir()), None)
        if part is None:
            return Benchmark(card.name, (test,))
        places = {name: place_in(card, name) for name in class_folders(part)}
        return Benchmark(card.name, (test,), folder_set(card, "train", part, places))


def _truth(card: Card, root: Path) -> tuple[list[str], Path]:
    """The WordNet id of each validation picture, and where it stands."""
    devkit = next((root / place for place in DEVKIT if (root / place / TRUTH).is_file()), None)
    if devkit is not None:
        return _from_devkit(card, devkit), devkit / TRUTH
    table = next((place / TABLE for place in (root, root.parent) if (place / TABLE).is_file()), None)
    if table is not None:
        return _from_table(card, table), table
    raise SightwordError(
        f"{card.title}: '{root}' has the pictures of val but not their classes; add the devkit"
        f" (ILSVRC2012_devkit_t12/data/{TRUTH} and meta.mat), or {TABLE}, or sort them into WordNet folders"
    )


def _from_devkit(card: Card, devkit: Path) -> list[str]:
    meta, truth = devkit / "meta.mat", devkit / TRUTH
    numbers = field_of(card, meta, "synsets", "ILSVRC2012_ID")
    wordnet = dict(zip(numbers, field_of(card, meta, "synsets", "WNID"), strict=True))
    found = [wordnet.get(number_of(card, line, truth)) for line in lines_of(card, truth)]
    if None in found:
        raise SightwordError(f"{card.title}: '{truth}' has a number that '{meta}' does not know")
    return [str(name) for name in found]


def _from_table(card: Card, table: Path) -> list[str]:
    """Lines are `ImageId,PredictionString`, the latter beginning with the id; in no order."""
    rows = [line.partition(",") for line in lines_of(card, table)[1:]]
    found = [rest.split(maxsplit=1)[0] for _, _, rest in sorted(rows) if WORDNET.match(rest)]
    expected = [f"ILSVRC2012_val_{i + 1:08d}" for i in range(len(rows))]
    if len(found) != len(rows) or sorted(name for name, _, _ in rows) != expected:
        raise SightwordError(
            f"{card.title}: '{table}' does not list ILSVRC2012_val_00000001 and on, each once"
        )
    return found
