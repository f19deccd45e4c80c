"""Food-101 as ETH ships it: `images/CLASS/ID.jpg`, and lists in `meta/`."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, lines_of, listed_rows, object_of

INSIDE = ("food-101",)


@final
class Food101(Layout):
    """`meta/train.txt` and `meta/test.txt` with lines `CLASS/ID`, or the same as JSON, a list a class.

    75,750 pictures to learn from, 25,250 to test on; there is no validation split.
    """

    cards = ("food101",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, "images", "meta") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, "images", "meta")
        assert home is not None
        return Benchmark(card.name, (_split(home, card, "test"),), _split(home, card, "train"))


def _split(home: Path, card: Card, split: str) -> LabelledSet:
    source = home / "meta" / f"{split}.txt"
    if source.is_file():
        entries = lines_of(card, source)
    else:
        source = source.with_suffix(".json")
        entries = [str(entry) for mine in object_of(card, source, list).values() for entry in mine]
    rows = [(f"{entry}.jpg", place_in(card, entry.partition("/")[0])) for entry in entries]
    return listed_rows(card, split, home / "images", rows, source)
