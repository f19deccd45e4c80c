"""Caltech-UCSD Birds 200-2011 as Caltech ships it: pictures by number, in four lists."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import fields_of, home_of, listed_rows, number_of

INSIDE = ("CUB_200_2011",)
MARKS = ("images", "images.txt")


@final
class Birds(Layout):
    """`images.txt`, `image_class_labels.txt` (from 1), `train_test_split.txt` (1: train), by picture number.

    5,994 pictures to learn from, 5,794 to test on; there is no validation split.
    """

    cards = ("cub200",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, *MARKS) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, *MARKS)
        assert home is not None
        pictures = dict(fields_of(card, home / "images.txt", 2))
        labels = _numbers(home / "image_class_labels.txt", card, pictures)
        trains = _numbers(home / "train_test_split.txt", card, pictures)

        def split(name: str, train: int) -> LabelledSet:
            rows = [(pictures[i], labels[i] - 1) for i in pictures if trains[i] == train]
            return listed_rows(card, name, home / "images", rows, home / "images.txt")

        return Benchmark(card.name, (split("test", 0),), split("train", 1))


def _numbers(source: Path, card: Card, pictures: dict[str, str]) -> dict[str, int]:
    """A number for each picture."""
    found = {number: number_of(card, value, source) for number, value in fields_of(card, source, 2)}
    if found.keys() != pictures.keys():
        raise SightwordError(
            f"{card.title}: '{source}' has {len(found)} pictures, images.txt has {len(pictures)};"
            f" get it: {card.get}"
        )
    return found
