"""Published data sets below `--data-root`: where they lie, in which layout, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sightword.errors import SightwordError
from sightword.evaluation.cards import Card
from sightword.evaluation.imagefolder import is_imagefolder, open_imagefolder
from sightword.evaluation.labelled import PLAIN, Benchmark, LabelledSet, Labels
from sightword.evaluation.layouts.all import LAYOUTS
from sightword.evaluation.layouts.classfolders import places_of
from sightword.evaluation.webdatasets import is_clip_benchmark, open_clip_benchmark


@dataclass(frozen=True)
class Missing:
    """A data set that was looked for and not found."""

    card: Card
    looked: tuple[Path, ...]

    def line(self) -> str:
        """For people: what is missing, and how to get it."""
        where = ", ".join(str(path) for path in self.looked)
        return f"missing: {self.card.name} ({self.card.title}); looked in {where}; get it: {self.card.get}"


def find(card: Card, data_root: Path) -> Path | Missing:
    """Where a data set lies.

    Args:
        card: the data set.
        data_root: the folder below which it is looked for, at the card's places.
    """
    looked = tuple(data_root / place for place in card.places)
    there = (path for path in looked if path.exists() and any(_openers(card, path)))
    return next(there, None) or Missing(card, looked)


def open_published(card: Card, path: Path) -> Benchmark:
    """A published data set where it lies, in CLIP_benchmark's layout, the publisher's or as an ImageFolder.

    Raises:
        SightwordError: when it is broken, or of another layout.
    """
    opener = next(_openers(card, path), None)
    if opener is None:
        raise SightwordError(f"'{path}' holds {card.title} in no known layout; get it: {card.get}")
    return opener()


def _openers(card: Card, path: Path) -> Iterator[Callable[[], Benchmark]]:
    """Ways to open what lies at a path, the surest first."""
    if path.is_dir() and is_clip_benchmark(path):
        yield lambda: _titled(card, open_clip_benchmark(path))
    for layout in LAYOUTS:
        if card.name in layout.cards and layout.lies_in(path):
            yield partial(layout.open, path, card)
    if card.classes and path.is_dir() and is_imagefolder(path):
        yield lambda: _titled(card, open_imagefolder(path), path)


def _titled(card: Card, found: Benchmark, folders: Path | None = None) -> Benchmark:
    """The same under the card's name and metric; of class folders, with its words too.

    Words that lie beside the pictures (`classnames.txt`, CLIP_benchmark's templates) stay as they are.
    """
    own_words = folders is None or (folders / "classnames.txt").is_file()

    def titled(part: LabelledSet) -> LabelledSet:
        named = replace(part, name=card.name, metric=card.metric)
        if part.templates == PLAIN and card.templates:
            named = replace(named, templates=card.templates)
        return named if own_words else replace(named, classes=_relabelled(card, part), wordings=card.wordings)

    train, validation = (None if part is None else titled(part) for part in (found.train, found.validation))
    return Benchmark(card.name, tuple(titled(part) for part in found.tests), train, validation)


def _relabelled(card: Card, part: LabelledSet) -> Labels:
    """Labels as the card counts them: by the publisher's class names, by numbers, or in sorted order."""
    assert part.classes is not None
    folders = part.classes.names
    places = places_of(card, folders, Path(part.name))
    return Labels(card.classes, np.array([places[folder] for folder in folders])[part.classes.of])
