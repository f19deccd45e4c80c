"""Caltech-101 as Caltech ships it: a folder a class, and no split."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, listed_rows, pictures_in
from sightword.randomness import stream

INSIDE = ("101_ObjectCategories", "caltech-101/101_ObjectCategories", "caltech101/101_ObjectCategories")
MARKS = ("accordion", "airplanes")
TRAIN = 30  # pictures a class


@final
class Caltech101(Layout):
    """30 pictures a class to learn from, all others to test on, background among the 102 classes.

    So split CLIP, VTAB and TensorFlow Datasets: 3,060 and 6,084 pictures. The publisher says 30 a class and
    no more. Deviation: their draw follows the order in which a file system lists folders, so nobody can
    draw it again; this draw depends on the files' names alone, and the splits are named after it.
    """

    cards = ("caltech101",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, *MARKS) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, *MARKS)
        assert home is not None
        train, test = list[tuple[str, int]](), list[tuple[str, int]]()
        for label, folder in enumerate(card.ids):
            drawn = sorted(
                (f"{folder}/{name}" for name in pictures_in(home / folder)),
                key=lambda picture: (stream("caltech101 train", picture), picture),
            )
            if len(drawn) <= TRAIN:
                raise SightwordError(
                    f"{card.title}: '{home / folder}' has {len(drawn)} pictures, wanted more than {TRAIN};"
                    f" get it: {card.get}"
                )
            train += [(picture, label) for picture in sorted(drawn[:TRAIN])]
            test += [(picture, label) for picture in sorted(drawn[TRAIN:])]
        learned = listed_rows(card, f"train_{TRAIN}_a_class", home, train, home)
        scored = listed_rows(card, f"test_all_but_{TRAIN}_a_class", home, test, home)
        return Benchmark(card.name, (scored,), learned)
