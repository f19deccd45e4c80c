"""CLEVR as Stanford ships it, seen as two tasks of VTAB: how many objects, and how far the closest is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, json_of, listed_rows

INSIDE = ("CLEVR_v1.0",)
MARKS = ("images/val", "scenes/CLEVR_val_scenes.json")
READ = ("scenes", "image_filename", "objects", "pixel_coords")
NEARER_THAN = np.array([0.0, 8.0, 8.5, 9.0, 9.5, 10.0, 100.0], dtype=np.float32)  # VTAB, data/clevr.py


@final
class Clevr(Layout):
    """`images/{train,val}/*.png` and `scenes/CLEVR_{train,val}_scenes.json`.

    As in VTAB the validation part is scored (the test part has no scenes): 70,000 pictures to learn from,
    15,000 to test on. Deviation: CLIP and SLIP count on 2,000 and 500 pictures that they do not name.
    """

    cards = ("clevr_counts", "clevr_distance")

    def lies_in(self, root: Path) -> bool:
        return home_of(root, INSIDE, *MARKS) is not None

    def open(self, root: Path, card: Card) -> Benchmark:
        home = home_of(root, INSIDE, *MARKS)
        assert home is not None
        there = (home / "images" / "train").is_dir()
        return Benchmark(
            card.name, (_split(home, card, "val"),), _split(home, card, "train") if there else None
        )


def _split(home: Path, card: Card, split: str) -> LabelledSet:
    source = home / "scenes" / f"CLEVR_{split}_scenes.json"
    label = _count if card.name == "clevr_counts" else _distance
    try:
        rows = [
            (str(scene["image_filename"]), label(card, scene))
            for scene in json_of(card, source, READ)["scenes"]
        ]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise SightwordError(f"{card.title}: '{source}' is not CLEVR's list of scenes ({error!r})") from error
    return listed_rows(card, split, home / "images" / split, rows, source)


def _count(card: Card, scene: Mapping[str, Any]) -> int:
    """The class of as many objects; classes are in the order of words: 10, 3, 4, ..."""
    return place_in(card, str(len(scene["objects"])))


def _distance(card: Card, scene: Mapping[str, Any]) -> int:
    """The bin of the closest object's distance from the camera, the third of its pixel coordinates."""
    nearest = min(np.float32(thing["pixel_coords"][2]) for thing in scene["objects"])
    return int(np.searchsorted(NEARER_THAN, nearest, side="left")) - 1  # a bound is in the nearer bin
