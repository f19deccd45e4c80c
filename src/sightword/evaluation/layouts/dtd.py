"""Describable Textures as VGG ships it: `images/CLASS/NAME.jpg`, ten splits in `labels/`."""

from __future__ import annotations

from pathlib import Path
from typing import final

from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, lines_of, listed_rows

INSIDE = ("dtd",)
PARTITION = 1  # of ten; the one that SLIP, CLIP, VTAB and CLIP_benchmark use


@final
class Textures(Layout):
    """`labels/train1.txt`, `val1.txt` and `test1.txt` with lines `CLASS/NAME.jpg`: 1,880 pictures each."""

    cards = ("dtd",)

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, "images", f"labels/test{PARTITION}.txt") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, "images", f"labels/test{PARTITION}.txt")
        assert home is not None
        train, validation, test = (_split(home, card, split) for split in ("train", "val", "test"))
        return Benchmark(card.name, (test,), train, validation)


def _split(home: Path, card: Card, split: str) -> LabelledSet:
    source = home / "labels" / f"{split}{PARTITION}.txt"
    rows = [(picture, place_in(card, picture.partition("/")[0])) for picture in lines_of(card, source)]
    return listed_rows(card, f"{split}{PARTITION}", home / "images", rows, source)
