"""Something that carries out runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from sightword.config import Config
from sightword.training.child import Failure, Work

__all__ = ["Failure", "Launcher", "Work", "title_of"]
_PARTS = 4  # of a path that tell a run of a study: model, size, seed and arm


class Launcher(ABC):
    """Carries out runs, many at once.

    here: whether they are carried out on this machine, so that what they take can be measured beforehand.
    """

    here = False

    @abstractmethod
    def at_once(self, config: Config) -> int:
        """How many runs like this one go on at the same time."""

    @abstractmethod
    def run(self, work: Work, configs: Sequence[Config]) -> list[Failure]:
        """Carry out runs, and give those that failed. A failed one does not stop the others.

        Args:
            work: what is done with each configuration; it can be pickled, and goes on where it was stopped.
            configs: of the runs. Those that have begun go on.

        Raises:
            SightwordError: a signal asked to stop: every run has saved, and the same call goes on.
        """


def title_of(config: Config) -> str:
    """What a run of a study is called on the screen: the end of its path."""
    return "/".join(Path(config.out).parts[-_PARTS:])
