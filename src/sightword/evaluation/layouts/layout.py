"""What a layout is: how a publisher ships a data set, and how it becomes a benchmark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from sightword.evaluation.cards import Card
from sightword.evaluation.labelled import PLAIN, Benchmark, LabelledSet, Labels, Picture


class Layout(ABC):
    """One way in which files are shipped. A subclass is final.

    cards: names of the data sets that are shipped so.
    """

    cards: tuple[str, ...]

    @abstractmethod
    def lies_in(self, root: Path) -> bool:
        """Whether files of this layout lie there; looks at names alone, and at few."""

    @abstractmethod
    def open(self, root: Path, card: Card) -> Benchmark:
        """The data set, with the publisher's own splits.

        Raises:
            SightwordError: when files are missing, cut short or of other content than the layout has.
        """


def split_of(
    card: Card,
    split: str,
    keys: Sequence[str],
    read: Callable[[int], Picture],
    labels: Int64[np.ndarray, " n"],
    names: Sequence[str] = (),
) -> LabelledSet:
    """A split of a card's data set, with its classes, prompts and metric.

    Args:
        card: whose.
        split: the publisher's name for it, such as `test`.
        keys: a name for each picture, each once.
        read: a picture by its position.
        labels: which class each picture shows.
        names: of the classes, where the publisher's files say them and the card does not.
    """
    return LabelledSet(
        name=card.name,
        split=split,
        keys=tuple(keys),
        read=read,
        classes=Labels(tuple(names) or card.classes, labels),
        templates=card.templates or PLAIN,
        wordings=card.wordings,
        metric=card.metric,
    )


def read_file(root: Path, names: Sequence[str]) -> Callable[[int], bytes]:
    """Reads the files of these names below a folder, by their position."""
    return lambda i: (root / names[i]).read_bytes()
