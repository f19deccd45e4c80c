"""The German traffic signs: PPM pictures, and tables separated by semicolons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import files_in, first_that, home_of, listed, number_of, rows_of

INSIDE = ("GTSRB", "gtsrb/GTSRB", "gtsrb")
TEST, TABLE = "Final_Test/Images", "GT-final_test.csv"
TRAIN = ("Final_Training/Images", "Training")  # the second in the archive that torchvision takes


@final
class Gtsrb(Layout):
    """`Final_Test/Images/*.ppm` with `GT-final_test.csv`; `Final_Training/Images/00014/*.ppm` with
    `GT-00014.csv`, where they are.

    Source: https://benchmark.ini.rub.de/gtsrb_dataset.html. Whole pictures, as CLIP and SLIP take them: the
    sign with a tenth of border around it, not cut out by the tables' Roi. In training, the some thirty
    pictures of one sign as a car drives by (`00014/00003_*`) are one cluster.
    """

    cards = ("gtsrb",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, TEST) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, TEST)
        assert home is not None
        folders = (home / TEST, home / "Final_Test", home, *((home.parent,) if home != root else ()))
        table = first_that(card, (folder / TABLE for folder in folders))
        rows = list(_rows(card, table))
        test = listed(card, "test", home / TEST, [name for name, _ in rows], [of for _, of in rows], table)
        return Benchmark(card.name, (test,), _train(home, card))


def _train(home: Path, card: Card) -> LabelledSet | None:
    root = next((home / below for below in TRAIN if (home / below).is_dir()), None)
    if root is None:
        return None
    classes = sorted(name for name in files_in(root) if name.isdecimal())
    if len(classes) != len(card.classes):
        raise SightwordError(
            f"{card.title}: '{root}' holds {len(classes)} class folders; wanted {len(card.classes)};"
            " get it again"
        )
    rows = [(f"{name}/{file}", of) for name in classes for file, of in _class(card, root / name)]
    found = listed(card, "train", root, [file for file, _ in rows], [of for _, of in rows], root)
    return replace(found, clusters=tuple(file.rpartition("_")[0] for file, _ in rows))


def _class(card: Card, folder: Path) -> list[tuple[str, int]]:
    """A class folder's pictures and labels, by its table where it has one."""
    table = folder / f"GT-{folder.name}.csv"
    if table.is_file():
        return list(_rows(card, table))
    return [(name, int(folder.name)) for name in sorted(files_in(folder)) if name.endswith(".ppm")]


def _rows(card: Card, table: Path) -> Iterator[tuple[str, int]]:
    for row in rows_of(card, table, ";"):
        if not row.get("Filename") or not row.get("ClassId"):
            raise SightwordError(
                f"{card.title}: '{table}' has a row without Filename or ClassId; wanted"
                " Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId; get it again"
            )
        yield row["Filename"], number_of(card, row["ClassId"], table)
