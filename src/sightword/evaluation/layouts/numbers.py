"""What a class folder means that is named by a number: what the number means to the publisher, or to VTAB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card, place_in
from sightword.evaluation.layouts.fer2013 import EMOTIONS
from sightword.evaluation.layouts.vtab1k import places_by_label

_WORDNET = re.compile(r"n\d{8}")
_QUANTITY = re.compile(r"(\d+)(?: degrees)?")
_DIGITS = ("mnist", "svhn")


def places_by_number(card: Card, folders: Sequence[str], root: Path) -> dict[str, int]:
    """The label of each class folder, as the card counts; all classes must be there.

    Args:
        card: whose.
        folders: their names, all of them numbers.
        root: where they lie, for errors.

    Raises:
        SightwordError: when the numbers are none that the publisher or VTAB gives.
    """
    numbers = {int(folder): folder for folder in folders}
    for numbering in _numberings(card):
        if numbering.keys() == numbers.keys():
            return {folder: numbering[number] for number, folder in numbers.items()}
    raise SightwordError(
        f"the class folders of '{root}' are numbered {min(numbers)} to {max(numbers)}, which is no numbering"
        f" of {card.title} that is known here; name the folders by its classes, or write classnames.txt"
        " beside them, one line a folder in sorted order"
    )


def _numberings(card: Card) -> Iterator[Mapping[int, int]]:
    """The card's place of each number, for each way to number its classes."""
    order = _order(card)
    yield dict(enumerate(order))
    if card.name in _DIGITS:
        yield {number: number % 10 for number in range(1, 11)}  # SVHN's publisher: 10 is the digit 0
    elif not any(_WORDNET.fullmatch(name) for name in card.ids):  # ILSVRC's numbers from 1 are in no order
        yield dict(enumerate(order, 1))
    if card.name == "smallnorb_azimuth":
        yield {2 * place: place for place in order}  # its publisher: 0, 2, ... 34, tens of degrees
    quantities = [_QUANTITY.fullmatch(name) for name in card.classes]  # so many objects, so many degrees
    yield {int(found[1]): place for place, found in enumerate(quantities) if found}


def _order(card: Card) -> Sequence[int]:
    """The card's places in the order in which its publisher, or VTAB, counts the classes.

    FER2013's csv counts surprise before neutral (1307.0414, its readme). UCF101's `classInd.txt` sorts by
    letter whatever its case: Hammering, HammerThrow.
    """
    if card.name == "fer2013":
        return [card.classes.index(word) for word in EMOTIONS]
    if card.name == "ucf101_frames":
        return [place_in(card, name) for name in sorted(card.ids, key=str.lower)]
    return places_by_label(card)
