"""SUN397 as Princeton ships it: `a/abbey/sun_*.jpg`, ten partitions in lists."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import first_that, home_of, lines_of, listed_rows

INSIDE = ("SUN397",)
LISTS = (".", "Partitions", "partitions", "..", "../Partitions")
PARTITION = "01"  # of ten; the one of 19,850 and 19,850 pictures that CLIP's paper reports


@final
class Sun397(Layout):
    """`Training_01.txt` and `Testing_01.txt` with lines `/a/abbey/sun_*.jpg`, beside the pictures or in
    `Partitions`; 50 pictures a class each. There is no validation split.

    Deviation: VTAB and SLIP drew splits of their own from all 108,754 pictures.
    """

    cards = ("sun397",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, "a/abbey") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, "a/abbey")
        assert home is not None
        return Benchmark(card.name, (_split(home, card, "Testing"),), _split(home, card, "Training"))


def _split(home: Path, card: Card, part: str) -> LabelledSet:
    split = f"{part}_{PARTITION}"
    source = first_that(card, (home / folder / f"{split}.txt" for folder in LISTS))
    pictures = [line.lstrip("/") for line in lines_of(card, source)]
    places = {name: i for i, name in enumerate(card.classes)}
    strange = next((picture for picture in pictures if _class(picture) not in places), None)
    if strange is not None:
        raise SightwordError(f"{card.title}: '{source}' lists '{strange}', of no known scene")
    return listed_rows(
        card, split, home, [(picture, places[_class(picture)]) for picture in pictures], source
    )


def _class(picture: str) -> str:
    """The scene as the card writes it: `j/jail/indoor/sun_1.jpg` shows `jail indoor`."""
    return picture.rpartition("/")[0][2:].replace("/", " ").replace("_", " ")
