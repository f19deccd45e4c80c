"""ObjectNet as MIT ships it: `images/FOLDER/*.png` with a red border, and its mappings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, Picture
from sightword.evaluation.layouts.classfolders import class_folders
from sightword.evaluation.layouts.layout import Layout, split_of
from sightword.evaluation.layouts.listed import first_that, home_of, object_of, pictures_in
from sightword.views.decode import decode

INSIDE = ("objectnet-1.0", "objectnet-1.0/objectnet-1.0")
FOLDERS, SHARED = "folder_to_objectnet_label.json", "objectnet_to_imagenet_1k.json"
BORDER = 1  # pixels, red, around each picture, so that nobody trains on them unawares


@final
class ObjectNet(Layout):
    """The classes that ImageNet-1k has too, 113 of 313, under ObjectNet's own names in lower case.

    `mappings/folder_to_objectnet_label.json` names the folders, `mappings/objectnet_to_imagenet_1k.json`
    says which names ImageNet has. The border is cropped, as the publisher asks. Deviation: CLIP_benchmark
    chooses among the same names, but leaves the border on.
    """

    cards = ("objectnet",)

    def lies_in(self, root: Path) -> bool:
        return self._maps(root) is not None and home_of(root, INSIDE, "images") is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home, maps = home_of(root, INSIDE, "images"), self._maps(root)
        assert home is not None
        assert maps is not None
        named = object_of(card, first_that(card, [maps / FOLDERS]), str)
        shared = object_of(card, first_that(card, [maps / SHARED]), str)
        folders = sorted(folder for folder, name in named.items() if name in shared)
        lacking = sorted(set(folders) - set(class_folders(home / "images")))
        if len(folders) != len(shared) or lacking:
            what = (
                f"the folder '{lacking[0]}'"
                if lacking
                else f"folders for {len(shared) - len(folders)} classes"
            )
            raise SightwordError(
                f"{card.title}: '{home / 'images'}' lacks {what} of {maps}; get it: {card.get}"
            )
        names = [named[folder].lower() for folder in folders]
        inside = [pictures_in(home / "images" / folder) for folder in folders]
        keys = [f"{folder}/{name}" for folder, mine in zip(folders, inside, strict=True) for name in mine]
        labels = np.repeat(np.arange(len(folders)), [len(mine) for mine in inside])
        return Benchmark(
            card.name, (split_of(card, "test", keys, _cropped(home / "images", keys), labels, names),)
        )

    def _maps(self, root: Path) -> Path | None:
        inside = ("mappings", *(f"{place}/mappings" for place in INSIDE))
        return home_of(root, inside, FOLDERS, SHARED)


def _cropped(root: Path, names: list[str]) -> Callable[[int], Picture]:
    """Reads pictures without their border; what cannot be decoded as it is, for whoever counts such files."""

    def read(i: int) -> Picture:
        found = (root / names[i]).read_bytes()
        try:
            return without_border(decode(found, names[i]))
        except BadSample:
            return found

    return read


def without_border(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A picture without one pixel at each side."""
    return np.ascontiguousarray(pixels[BORDER:-BORDER, BORDER:-BORDER])
