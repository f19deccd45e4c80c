"""What would make a run fit into a GPU's memory: each way tried, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sightword.config import Config
from sightword.planning.memory import Needed, needed

_FEWEST = 8  # samples of a chunk: with fewer a GPU is mostly idle


@dataclass(frozen=True)
class Way:
    """A change of the run that may make it fit.

    flags: what to add to the command.
    gpus: how many it takes.
    peak: bytes that each then needs.
    fits: whether that is little enough.
    flops: of a sample, against the run as it was asked for.
    """

    flags: str
    gpus: int
    peak: int
    fits: bool
    flops: float


@dataclass(frozen=True)
class Search:
    """Tries ways to fit `config` into `room` bytes on each of `ranks` GPUs; as it is it needs `asked`."""

    config: Config
    ranks: int
    room: float
    asked: Needed
    told: Callable[[str], None] = lambda what: None

    @property
    def rows(self) -> int:
        """Samples of a GPU."""
        return self.config.global_batch // self.ranks

    def ways(self) -> Iterator[Way]:
        """What was found, each alone; then together, when none is enough."""
        alone = [self._recomputing(), self._cutting(), self._more_gpus(), self._chunked(self.config, "")]
        found = [way for way in alone if way is not None]
        yield from found
        if not any(way.fits for way in found):
            yield from self._together()

    def _recomputing(self) -> Way | None:
        if self.config.grad_checkpointing:
            return None
        return self._way(replace(self.config, grad_checkpointing=True), "--grad-checkpointing")

    def _cutting(self) -> Way | None:
        if self.config.parallel == "fsdp" or self.ranks == 1:
            return None
        return self._way(replace(self.config, parallel="fsdp"), "--parallel fsdp")

    def _more_gpus(self) -> Way | None:
        """The fewest that share the global batch evenly and leave each few enough rows."""
        half = self.rows // 2
        if half < 2 or self.rows % 2:
            return None
        fewer = needed(self.config, 2 * self.ranks)
        most = _largest(half, self.rows, fewer.most.peak, self.asked.most.peak, self.room)
        divisors = [
            n
            for n in range(self.ranks + 1, self.config.global_batch // 2 + 1)
            if not self.config.global_batch % n
        ]
        fitting = [n for n in divisors if self.config.global_batch // n <= most]
        return self._way(self.config, "more GPUs", fitting[0]) if fitting else None

    def _chunked(self, config: Config, flags: str) -> Way | None:
        """The largest chunk that fits."""
        if config.chunk or config.accum_freq > 1 or self.rows < 2 * _FEWEST:
            return None
        small, large = max(_FEWEST, self.rows // 8), max(_FEWEST, self.rows // 4)
        peaks = [self._needed(replace(config, chunk=chunk)).most.peak for chunk in (small, large)]
        most = _largest(small, large, peaks[0], peaks[1], self.room) if large > small else small
        chunks = math.ceil(self.rows / max(_FEWEST, min(most, self.rows - 1)))
        chunk = math.ceil(self.rows / chunks)  # pieces are equal: no larger ones come of any other number
        return self._way(replace(config, chunk=chunk), f"{flags}--chunk {chunk}")

    def _together(self) -> Iterator[Way]:
        config, flags = replace(self.config, grad_checkpointing=True), "--grad-checkpointing "
        if self.ranks > 1:
            config, flags = replace(config, parallel="fsdp"), f"{flags}--parallel fsdp "
        both = self._way(config, flags.strip())
        yield both
        if not both.fits:
            chunked = self._chunked(config, flags)
            if chunked is not None:
                yield chunked

    def _way(self, config: Config, flags: str, gpus: int = 0) -> Way:
        self.told(flags)
        gpus = gpus or self.ranks
        found = needed(config, gpus)
        peak = found.most.peak
        return Way(flags, gpus, peak, peak <= self.room, found.flops / self.asked.flops)

    def _needed(self, config: Config) -> Needed:
        self.told(f"--chunk {config.chunk}")
        return needed(config, self.ranks)


def _largest(small: int, large: int, low: int, high: int, room: float) -> int:
    """How many rows need `room` bytes, when `small` need `low` and `large` need `high`."""
    each = max(1.0, (high - low) / (large - small))
    return int(small + (room - low) / each)
