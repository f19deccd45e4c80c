"""Oxford-IIIT Pets as VGG ships it: `images/BREED_NUMBER.jpg`, lists in `annotations/`."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import fields_of, home_of, listed_rows, number_of

INSIDE = ("oxford-iiit-pet",)


def by_publishers_number(card: Card) -> list[str]:
    """The breeds in the order of the publisher's class ids: by letter, whatever its case.

    The card's order is another: cats, which are spelt with capitals, then dogs.
    """
    return sorted(card.ids, key=str.lower)


@final
class Pets(Layout):
    """`annotations/trainval.txt` and `test.txt`: `NAME CLASS-ID SPECIES BREED-ID`, class ids from 1 to 37.

    3,680 pictures to learn from, 3,669 to test on; there is no validation split.
    """

    cards = ("pets",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, "images", "annotations") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, "images", "annotations")
        assert home is not None
        return Benchmark(card.name, (_split(home, card, "test"),), _split(home, card, "trainval"))


def _split(home: Path, card: Card, split: str) -> LabelledSet:
    source = home / "annotations" / f"{split}.txt"
    found = [row for row in fields_of(card, source, 2) if not row[0].startswith("#")]
    numbers = [number_of(card, rest.split()[0], source) for _, rest in found]
    rows = [
        (f"{name}.jpg", _label(card, name, number, source))
        for (name, _), number in zip(found, numbers, strict=True)
    ]
    return listed_rows(card, split, home / "images", rows, source)


def _label(card: Card, name: str, number: int, source: Path) -> int:
    """The card's label of a picture; its class id and the breed in its name must agree."""
    breed = name.rpartition("_")[0]
    breeds = by_publishers_number(card)
    if not 0 < number <= len(breeds) or breeds[number - 1] != breed:
        raise SightwordError(
            f"{card.title}: '{source}' gives '{name}' the class id {number}, which is not its breed"
        )
    return place_in(card, breed)
