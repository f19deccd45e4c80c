"""Kaggle's diabetic retinopathy: photographs of eyes, two of each patient, graded 0 to 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.drawn import drawn, part_name
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, listed, number_of, rows_of

TRAIN, SOLUTION = "trainLabels.csv", "retinopathy_solution.csv"
INSIDE = ("diabetic-retinopathy-detection",)
_SHARES = (80, 20)  # train, test, where the publisher's test part is not there


class _Row(NamedTuple):
    image: str
    level: int
    usage: str


@final
class Retinopathy(Layout):
    """`trainLabels.csv` (image,level) with `train/10_left.jpeg`, and `retinopathy_solution.csv`
    (image,level,Usage) with `test/1_left.jpeg`.

    As TensorFlow Datasets, and so VTAB, splits it: train; of the test part, Usage `Public` for validation and
    `Private` for the test. Without `retinopathy_solution.csv` a fifth of the patients of train is the test,
    drawn once and for all. Both eyes of a patient are one cluster. Deviation: pictures are taken as they are;
    VTAB's were scaled, cropped and freed of their local mean first ("btgraham-300").
    """

    cards = ("diabetic_retinopathy",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, TRAIN) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, TRAIN)
        assert home is not None
        rows = _rows(card, home / TRAIN)
        if not (home / SOLUTION).is_file():
            train, test = drawn(card.name, [_patient(row) for row in rows], _SHARES)
            learned = [rows[i] for i in train]
            scored = _set(home, card, part_name("test", _SHARES[1]), [rows[i] for i in test], TRAIN)
            return Benchmark(
                card.name, (scored,), _set(home, card, part_name("train", _SHARES[0]), learned, TRAIN)
            )
        others = _rows(card, home / SOLUTION)
        usages = {usage: [row for row in others if row.usage == usage] for usage in ("Private", "Public")}
        if sum(map(len, usages.values())) != len(others) or not all(usages.values()):
            raise SightwordError(
                f"{card.title}: '{home / SOLUTION}' wants a Usage of Public or Private in each row, and rows"
                " of both; get it again"
            )
        return Benchmark(
            card.name,
            (_set(home, card, "test", usages["Private"], SOLUTION),),
            _set(home, card, "train", rows, TRAIN),
            _set(home, card, "validation", usages["Public"], SOLUTION),
        )


def _set(home: Path, card: Card, split: str, rows: Sequence[_Row], source: str) -> LabelledSet:
    folder = "train" if source == TRAIN else "test"
    pictures = [f"{folder}/{row.image}.jpeg" for row in rows]
    found = listed(card, split, home, pictures, [row.level for row in rows], home / source)
    return replace(found, clusters=tuple(_patient(row) for row in rows))


def _patient(row: _Row) -> str:
    return row.image.partition("_")[0]


def _rows(card: Card, source: Path) -> list[_Row]:
    rows = rows_of(card, source)
    if not rows or any(not row.get("image") or not row.get("level") for row in rows):
        raise SightwordError(f"{card.title}: '{source}' wants rows of image and level; get it again")
    return [_Row(row["image"], number_of(card, row["level"], source), row.get("Usage") or "") for row in rows]
