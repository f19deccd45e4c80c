"""What a package offers to a corpus, before anything is drawn, and what is left out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from sightword.corpora.building.archives import Archive
from sightword.corpora.building.drawing import Drawing
from sightword.corpora.building.fetch import Package


@dataclass(frozen=True)
class Item:
    """A drawing with its words. `fields` holds at least `source`, `license` and `creator`."""

    key: str
    captions: tuple[str, ...]
    fields: Mapping[str, Any]
    ties: tuple[str, ...]  # names that it shares with drawings of the same concept
    drawing: Drawing


@final
class Drops:
    """What was left out, and why: nothing goes in silence."""

    def __init__(self) -> None:
        self.rows = list[tuple[str, str]]()

    def add(self, key: str, reason: str) -> None:
        """One drawing that is not in the corpus."""
        self.rows.append((key, reason))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many for each reason, the commonest first."""
        found = Counter(reason for _, reason in self.rows)
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


class Corpus(ABC):
    """A corpus that can be built."""

    @property
    @abstractmethod
    def packages(self) -> tuple[Package, ...]:
        """What it is made from."""

    @abstractmethod
    def items(self, archives: Mapping[str, Archive], drops: Drops) -> Iterator[Item]:
        """Its drawings; of two that look the same, the first stays."""
