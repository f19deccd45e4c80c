"""What is known about published data sets: classes, prompts, metric, places, how to get them.

One file of JSON a data set, in `sightword/data/evaluation/`. Where its words come from, and under which
licence, stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from sightword.errors import SightwordError, unknown

Metric = Literal[
    "acc1", "mean_per_class_recall", "mean_acc1_acc5", "roc_auc", "image_retrieval_recall@5", "vqa_accuracy"
]


@dataclass(frozen=True, eq=False)
class Card:
    """A published data set, whether or not it lies here.

    task: classification, retrieval or vqa.
    suites: lists that it belongs to: slip (SLIP's 26), vtab (its 19), imagenet (and its robustness family),
        retrieval, vqa, small.
    metric: the one that its papers report (SLIP, section 4.4), beside which the others are written too.
    split: the publisher's name for the pictures that are scored.
    places: folders or files below `--data-root` where it is looked for.
    get: how to get it with public tools.
    words: source and licence of class names and templates.
    classes: what zero-shot classification chooses among, in the order of the labels.
    wordings: for each class, the names that its prompts are made of; none: its name in `classes`.
    ids: the publisher's own name for each class, such as a WordNet id; none: it has no other.
    """

    name: str
    title: str
    task: Literal["classification", "retrieval", "vqa"]
    suites: tuple[str, ...]
    metric: Metric
    split: str
    places: tuple[str, ...]
    source: str
    licence: str
    get: str
    words: Mapping[str, str]
    templates: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    wordings: tuple[tuple[str, ...], ...] = ()
    ids: tuple[str, ...] = ()


@cache
def cards() -> Mapping[str, Card]:
    """All cards, by name."""
    folder = files("sightword") / "data" / "evaluation"
    found = (file for file in folder.iterdir() if file.name.endswith(".json"))
    read = [_card(json.loads(file.read_text(encoding="utf-8"))) for file in found]
    return {card.name: card for card in sorted(read, key=lambda card: card.name)}


def suites() -> Mapping[str, list[Card]]:
    """The cards of each suite."""
    names = sorted({suite for card in cards().values() for suite in card.suites})
    return {name: [card for card in cards().values() if name in card.suites] for name in names}


def card_of(name: str) -> Card:
    """The card of that name.

    Raises:
        SightwordError: when there is none.
    """
    if name not in cards():
        raise unknown("data set", name, cards())
    return cards()[name]


def place_in(card: Card, publishers: str) -> int:
    """The label of a class by the name that its publisher gives it.

    Raises:
        SightwordError: when there is no such class.
    """
    known = _positions(card.ids or card.classes)
    if publishers not in known:
        raise SightwordError(f"{card.title} has no class '{publishers}'; wanted one of its {len(known)}")
    return known[publishers]


@cache
def _positions(names: tuple[str, ...]) -> Mapping[str, int]:
    return {name: position for position, name in enumerate(names)}


def _card(row: Mapping[str, Any]) -> Card:
    listed = {name: tuple(row.get(name, ())) for name in ("suites", "places", "templates", "classes", "ids")}
    wordings = tuple(tuple(names) for names in row.get("wordings", ()))
    card = Card(**{**row, **listed, "wordings": wordings})
    for part in (card.wordings, card.ids):
        assert len(part) in (0, len(card.classes)), card.name
    return card
