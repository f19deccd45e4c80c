"""FGVC Aircraft as VGG ships it: `data/images/NUMBER.jpg`, a list a split with the variant in words."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import fields_of, home_of, lines_of, listed_rows

INSIDE = ("data", "fgvc-aircraft-2013b/data")
MARKS = ("images", "images_variant_test.txt")


@final
class Aircraft(Layout):
    """`images_variant_{train,val,test}.txt` with lines `0034309 Boeing 717`: 3,334, 3,333 and 3,333 pictures.

    Labels are the variants of `variants.txt`, 100 of them; makers and families are not read.
    """

    cards = ("aircraft",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, *MARKS) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, *MARKS)
        assert home is not None
        variants = lines_of(card, home / "variants.txt")
        if set(variants) != set(card.classes):
            raise SightwordError(
                f"{card.title}: '{home / 'variants.txt'}' has {len(set(variants) & set(card.classes))} of the"
                f" {len(card.classes)} variants; get it: {card.get}"
            )
        train, validation, test = (_split(home, card, split) for split in ("train", "val", "test"))
        return Benchmark(card.name, (test,), train, validation)


def _split(home: Path, card: Card, split: str) -> LabelledSet:
    source = home / f"images_variant_{split}.txt"
    rows = [(f"{number}.jpg", place_in(card, variant)) for number, variant in fields_of(card, source, 2)]
    return listed_rows(card, split, home / "images", rows, source)
