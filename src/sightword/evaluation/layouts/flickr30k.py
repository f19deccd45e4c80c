"""Flickr30k as Illinois ships it: `results_20130124.token`, beside lists of the splits' pictures."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.karpathy import PICTURES, caption_set
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import first_that, lines_of

TOKENS = "results_20130124.token"
LISTS = ("{}.txt", "{}_images.txt", "flickr30k_{}.txt", "splits/{}.txt", "flickr30k_entities/{}.txt")


@final
class Flickr30kTokens(Layout):
    """Lines `1000092795.jpg#0<tab>caption`; `test.txt`, `val.txt`, `train.txt` name pictures, one a line.

    The archive itself has no splits, so that without a list of the test pictures it is refused. The lists
    of Flickr30k Entities name Karpathy's 1,000 test pictures.
    """

    cards = ("flickr30k",)

    def lies_in(self, root: Path) -> bool:
        return (root / TOKENS).is_file()

    def open(self, root: Path, card: Card) -> Benchmark:
        source = root / TOKENS
        captions = _captions(card, source)
        lists = {split: _list(root, split) for split in ("train", "val", "test")}
        if lists["test"] is None:
            raise SightwordError(
                f"'{source}' does not say which pictures are tested on; add dataset_flickr30k.json (Karpathy"
                " and Fei-Fei, 2015), or test.txt with a picture's name a line"
            )
        train, validation, test = (
            None if names is None else _split(root, card, split, names, captions)
            for split, names in lists.items()
        )
        assert test is not None
        return Benchmark(card.name, (test,), train, validation)


def _captions(card: Card, source: Path) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for line in lines_of(card, source):
        name, tab, caption = line.partition("\t")
        if not tab or "#" not in name:
            raise SightwordError(
                f"{card.title}: '{source}' has the line '{line[:60]}'; wanted NAME.jpg#0<tab>caption"
            )
        found[name.partition("#")[0]].append(caption.strip())
    return dict(found)


def _list(root: Path, split: str) -> Path | None:
    return next((root / name.format(split) for name in LISTS if (root / name.format(split)).is_file()), None)


def _split(root: Path, card: Card, split: str, names: Path, captions: dict[str, list[str]]) -> LabelledSet:
    pictures = [f"{line.removesuffix('.jpg')}.jpg" for line in lines_of(card, names)]
    unknown = [picture for picture in pictures if picture not in captions]
    if unknown:
        raise SightwordError(
            f"{card.title}: '{names}' lists '{unknown[0]}', of which '{TOKENS}' has no caption"
        )
    home = first_that(card, (root / place for place in PICTURES["flickr30k"]))
    return caption_set(card, split, home, {picture: captions[picture] for picture in pictures}, names)
