"""Whether the data path is the limit, and which part of it: what loaders did, by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from sightword.words import Batch

STARVED = 0.1  # share of its time spent waiting for data from which the data path is training's limit
STAGES = {  # of the making of a batch, and what they are called where a user reads of them
    "read": "reading",
    "decode": "decoding",
    "views": "crops and colours",
    "captions": "captions",
}
REMEDIES = {  # by the stage that takes longest
    "read": "try pairs in shards on a local disk (sightword data pack), or more --workers",
    "decode": "try pictures stored no larger than needed (sightword data pack --resize 256), or more"
    " --workers",
    "views": "try more --workers, or the native kernel if it is not built (see docs/data.md)",
    "captions": "try more --workers",
}


@final
class InputMeter:
    """What the making of batches took since the last reading, in processor seconds of the loaders."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._before: dict[str, float] = {}  # all that was read already
        self.steps = self._steps_before = 0

    def add(self, batch: Batch) -> None:
        """Note a batch, and that of the other pictures in it."""
        self.steps += 1
        for part in (batch, batch.sight):
            for stage, seconds in part.seconds.items() if part else ():
                self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def read(self) -> dict[str, float]:
        """Seconds a step by stage; then start anew."""
        reading = {stage: seconds / max(1, self.steps) for stage, seconds in self._seconds.items()}
        self._before, self._steps_before = self._all(), self._steps_before + self.steps
        self._seconds, self.steps = {}, 0
        return reading

    def overall(self) -> dict[str, float]:
        """Seconds a step by stage since the beginning."""
        return {k: v / max(1, self._steps_before + self.steps) for k, v in self._all().items()}

    def _all(self) -> dict[str, float]:
        stages = self._seconds | self._before
        return {k: self._seconds.get(k, 0.0) + self._before.get(k, 0.0) for k in stages}


def slowest(seconds: Mapping[str, float]) -> str:
    """The stage that takes longest; "" when nothing was measured."""
    return max(seconds, key=lambda stage: seconds[stage], default="")


def shares(seconds: Mapping[str, float]) -> str:
    """Each stage's share of the whole in words, the largest first."""
    whole = sum(seconds.values()) or 1.0
    parts = sorted(seconds.items(), key=lambda part: -part[1])
    return ", ".join(f"{STAGES.get(stage, stage)} {part / whole:.0%}" for stage, part in parts)


def verdict(waited: float, seconds: Mapping[str, float]) -> str:
    """What a whole run's data path was, in one line.

    Args:
        waited: the share of training's time spent waiting for data.
        seconds: what making a batch took, by stage.
    """
    stage = slowest(seconds)
    if waited < STARVED or not stage:
        return f"data: waited {waited:.0%} of the time; it was not the limit"
    return f"data: waited {waited:.0%} of the time ({shares(seconds)}); to go faster, {REMEDIES[stage]}"
