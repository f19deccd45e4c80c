"""What a task is: a question asked of features, answered example by example."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sightword.evaluation.features import Encoder, FeatureStore
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.measures import Measured


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a task.

    measured: its metrics.
    outcomes: one row for each example (see `outcomes.py`).
    names: what the ids in the outcomes mean.
    chosen: what was chosen on a split of the training part.
    """

    measured: tuple[Measured, ...]
    outcomes: pa.Table
    names: tuple[str, ...]
    chosen: Mapping[str, Any] = field(default_factory=dict)


class Task(ABC):
    """One way to score a model on one split. A subclass is final.

    settings: what users may change of it, a frozen dataclass, or None; all of it belongs to the protocol.
    """

    name: str
    settings: Any = None

    def having(self, settings: Any) -> Task:
        """The same task with other settings, of the same kind."""
        other = copy.copy(self)
        other.settings = settings
        return other

    @abstractmethod
    def refuses(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> str:
        """Why this cannot be scored, in a few words; empty when it can."""

    @abstractmethod
    def protocol(self, model: Encoder, test: LabelledSet, train: LabelledSet | None) -> dict[str, Any]:
        """Everything that decides the numbers besides weights and test data."""

    @abstractmethod
    def answer(self, features: FeatureStore, test: LabelledSet, train: LabelledSet | None) -> Answer:
        """Score. Called only when it does not refuse."""
