"""Hateful Memes: a line of JSON for each picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import final

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import Benchmark, LabelledSet
from sightword.evaluation.layouts.layout import Layout
from sightword.evaluation.layouts.listed import home_of, lines_of, listed

INSIDE = ("data", "hateful_memes")
DEV = ("dev_seen", "dev")  # the second in the challenge's first phase


@final
class HatefulMemes(Layout):
    """`dev_seen.jsonl` and `train.jsonl` with lines `{"id": 8291, "img": "img/08291.png", "label": 1, ...}`.

    Source: Kiela et al. 2020 (2005.04790). Scored on `dev_seen`, as SLIP is (its list of data sets says
    `dev`): the labels of the test part were not public. The text on the pictures is not read. `dev_unseen`
    shares pictures with `dev_seen`, so it is not for validation.
    """

    cards = ("hateful_memes",)

    def lies_in(self, root: Path) -> bool:
        return any(home_of(root, INSIDE, f"{dev}.jsonl") for dev in DEV)

    def open(self, root: Path, card: Card) -> Benchmark:
        found = ((dev, home_of(root, INSIDE, f"{dev}.jsonl")) for dev in DEV)
        dev, home = next((dev, home) for dev, home in found if home is not None)
        train = _split(home, card, "train") if (home / "train.jsonl").is_file() else None
        return Benchmark(card.name, (_split(home, card, dev),), train)


def _split(home: Path, card: Card, split: str) -> LabelledSet:
    source = home / f"{split}.jsonl"
    pictures, labels = list[str](), list[int]()
    for number, line in enumerate(lines_of(card, source), 1):
        try:
            row = json.loads(line)
            pictures.append(str(row["img"]))
            labels.append(int(row["label"]))
        except (ValueError, TypeError, KeyError) as error:
            raise SightwordError(
                f"{card.title}: line {number} of '{source}' has no img and label; get it again: {card.get}"
            ) from error
    return listed(card, split, home, pictures, labels, source)
