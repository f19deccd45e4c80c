"""Which samples make up the batch of a step: a pure function of (seed, step).

An epoch permutes the shards, cuts them into windows of a few consecutive shards and shuffles each window
whole. Nothing is listed: the sample at any position is computed, by index arithmetic over the shards'
counts and a keyed permutation inside the window. So memory is O(shards), the batch of any step is found at
once, a run resumes from one integer, and no number of workers, ranks or machines changes a batch. Reading
stays local: while a window lasts, only its shards are read.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Int64, UInt64

from sightword.errors import SightwordError
from sightword.randomness import mix, stream, uniform

_TOGETHER = 2048  # positions whose samples are found at once: for a few numpy takes as long
_ROUNDS = 8  # even 4 are indistinguishable in theory (Luby and Rackoff 1988); small windows like more


class Ordering(ABC):
    """Which samples a step sees, and in which of their epochs. May be asked from several threads."""

    @property
    @abstractmethod
    def total(self) -> int:
        """Samples in an epoch."""

    @abstractmethod
    def steps_per_epoch(self, batch_size: int) -> int:
        """Whole batches in an epoch.

        Raises:
            SightwordError: there are too few samples for a batch without repeats.
        """

    @abstractmethod
    def batch(self, step: int, batch_size: int) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        """Epochs and global sample ids of step `step` (from 0), over all ranks together; no id comes twice.

        Raises:
            SightwordError: as `steps_per_epoch`.
        """

    @abstractmethod
    def digest(self, batch_size: int) -> str:
        """A hash that two runs compare: of all that decides the order, and of some batches themselves."""


@dataclass(frozen=True)
class _Epoch:
    """One epoch's arrangement; all arrays are as long as the number of shards or of windows."""

    number: int
    shards: Int64[np.ndarray, " s"]  # in the order of this epoch
    shard_starts: Int64[np.ndarray, " s1"]  # positions at which they begin; the last entry is the end
    window_starts: Int64[np.ndarray, " w1"]
    window_keys: UInt64[np.ndarray, " w"]


class _Near(NamedTuple):
    """The sample ids of some consecutive positions of an epoch."""

    epoch: int
    first: int
    ids: Int64[np.ndarray, " n"]

    def holds(self, epoch: int, first: int, end: int) -> bool:
        return self.epoch == epoch and self.first <= first and end <= self.first + len(self.ids)


@final
class Order(Ordering):
    """Every sample once in an epoch, shuffled.

    Args:
        counts: samples in each shard; sample ids run through the shards in this order.
        seed: the run's seed.
        window: how many consecutive shards are shuffled together.
    """

    def __init__(self, counts: Sequence[int], seed: int, window: int) -> None:
        if window < 1:
            raise SightwordError(f"window must be at least 1 shard, found {window}")
        self.counts, self.seed, self.window = tuple(counts), seed, window
        self._sizes = np.array(self.counts, dtype=np.int64)
        self._first_ids = np.cumsum(self._sizes) - self._sizes
        self._total = int(self._sizes.sum())
        self._near: _Near | None = None
        self._epochs: tuple[_Epoch, ...] = ()  # the latest two: a mixture looks from one back to the other

    @property
    def total(self) -> int:
        return self._total

    def steps_per_epoch(self, batch_size: int) -> int:
        """Whole batches in an epoch.

        The incomplete last batch is dropped (other samples each epoch): filled up from the next epoch it
        could hold one picture twice, and a contrastive loss would push a pair away from itself.

        Raises:
            SightwordError: the data set is smaller than one batch.
        """
        check_batch_size(batch_size, self.total)
        return self.total // batch_size

    def batch(self, step: int, batch_size: int) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        assert step >= 0, step
        epoch, within = divmod(step, self.steps_per_epoch(batch_size))
        first = within * batch_size
        known = self._near  # read once, as below
        if known is None or not known.holds(epoch, first, first + batch_size):
            end = min(self.total, first + max(batch_size, _TOGETHER))
            known = self._near = _Near(epoch, first, self.ids(epoch, np.arange(first, end)))
        ids = known.ids[first - known.first :][:batch_size]
        return np.full(batch_size, epoch, dtype=np.int64), ids.copy()

    def ids(self, epoch: int, positions: Int64[np.ndarray, " b"]) -> Int64[np.ndarray, " b"]:
        """The sample ids at positions of an epoch; over all positions, a permutation of all ids."""
        arranged = self._arranged(epoch)
        window = np.searchsorted(arranged.window_starts, positions, side="right") - 1
        start, end = arranged.window_starts[window], arranged.window_starts[window + 1]
        shuffled = start + permuted(positions - start, end - start, arranged.window_keys[window])
        place = np.searchsorted(arranged.shard_starts, shuffled, side="right") - 1
        found: Int64[np.ndarray, " b"] = self._first_ids[arranged.shards[place]] + shuffled
        return found - arranged.shard_starts[place]

    def digest(self, batch_size: int) -> str:
        content = hashlib.blake2b(
            repr((self.counts, self.seed, self.window, batch_size)).encode(), digest_size=16
        )
        steps = self.steps_per_epoch(batch_size)
        for step in (0, steps // 2, steps - 1, steps, 3 * steps):
            epochs, ids = self.batch(step, batch_size)
            content.update(int(epochs[0]).to_bytes(8, "little") + ids.astype("<i8").tobytes())
        return content.hexdigest()

    def _arranged(self, epoch: int) -> _Epoch:
        known = self._epochs  # read once: threads may ask for different epochs
        found = next((arranged for arranged in known if arranged.number == epoch), None)
        if found is None:
            found = self._arrange(epoch)
            self._epochs = (found, *known[:1])
        return found

    def _arrange(self, epoch: int) -> _Epoch:
        sizes = self._sizes
        filled = np.flatnonzero(sizes)
        draws = uniform(self.seed, stream("order", "shards"), filled, epoch, 1)[:, 0]
        shards = filled[np.argsort(draws, kind="stable")]
        shard_starts = np.concatenate([[0], np.cumsum(sizes[shards])])
        window_starts = np.append(shard_starts[: -1 : self.window], self.total)
        numbers = np.arange(len(window_starts) - 1, dtype=np.uint64)
        keys = mix(mix(numbers ^ np.uint64(stream("order", "window", self.seed, epoch))))
        return _Epoch(epoch, shards, shard_starts, window_starts, keys)


def check_batch_size(batch_size: int, total: int) -> None:
    """Raises `SightwordError` where a batch is no batch, or larger than all there is."""
    if batch_size < 1:
        raise SightwordError(f"batch size must be at least 1, found {batch_size}")
    if batch_size > total:
        raise SightwordError(
            f"a batch of {batch_size:,} is larger than the data set of {total:,} pairs; "
            f"use --batch-size {total} or less"
        )


def permuted(
    positions: Int64[np.ndarray, " b"], sizes: Int64[np.ndarray, " b"], keys: UInt64[np.ndarray, " b"]
) -> Int64[np.ndarray, " b"]:
    """Where each position lies in a keyed pseudo-random permutation of range(size), in O(1) each.

    A Feistel network on the smallest power of two above `size`, walked until it falls below `size` (Black
    and Rogaway 2002, "Ciphers with arbitrary finite domains"): fewer than two walks on average.
    """
    bits = np.maximum(np.frexp((sizes - 1).astype(np.float64))[1], 2).astype(np.uint64)
    limits = sizes.astype(np.uint64)
    values = _feistel(positions.astype(np.uint64), bits, keys)
    outside = np.flatnonzero(values >= limits)
    while len(outside):
        values[outside] = _feistel(values[outside], bits[outside], keys[outside])
        outside = outside[values[outside] >= limits[outside]]
    return values.astype(np.int64)


def _feistel(
    values: UInt64[np.ndarray, " b"], bits: UInt64[np.ndarray, " b"], keys: UInt64[np.ndarray, " b"]
) -> UInt64[np.ndarray, " b"]:
    """A bijection of `bits`-bit numbers: each half in turn is changed by a hash of the other."""
    low = bits // np.uint64(2)
    masks = (_mask(bits - low), _mask(low))
    halves = [values >> low, values & masks[1]]
    for turn in range(_ROUNDS):
        mine, other = turn % 2, 1 - turn % 2
        halves[mine] ^= mix(halves[other] ^ mix(keys ^ np.uint64(turn))) & masks[mine]
    return halves[0] << low | halves[1]


def _mask(bits: UInt64[np.ndarray, " b"]) -> UInt64[np.ndarray, " b"]:
    return (np.uint64(1) << bits) - np.uint64(1)
