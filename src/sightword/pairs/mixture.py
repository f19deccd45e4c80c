"""Several sources in given proportions: a pure function of (seed, step) like the plain order.

`--data a::b --upsampling 1::2` shows every pair of `a` once in an epoch and every pair of `b` twice. Each
source has an order of its own and goes through its own epochs one after another, faster or slower than the
run. How many of its samples came before a step is computed by rounding shares of the whole count (one
division at each fork of a small tree), so that any step is found at once and no rounding adds up over a run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from jaxtyping import Int64

from sightword.errors import SightwordError
from sightword.pairs.order import Order, Ordering, check_batch_size
from sightword.randomness import stream

_Numbers: TypeAlias = Int64[np.ndarray, " n"]


def make_order(
    counts: Sequence[int], parts: Sequence[int], upsampling: Sequence[float | int], seed: int, window: int
) -> Ordering:
    """The order in which a run sees its samples.

    Args:
        counts: samples in each shard (`Pairs.counts`).
        parts: how many of these belong to each source that `::` joined (`Pairs.parts`).
        upsampling: how often an epoch shows the pairs of each source; none, or all 1: once, in one order.
        seed: the run's seed.
        window: how many consecutive shards are shuffled together.

    Raises:
        SightwordError: not one factor for each source, a factor that is not above 0, or a source that is
            empty or would be by its factor.
    """
    assert sum(parts) == len(counts), (parts, len(counts))
    if not upsampling:
        return Order(counts, seed, window)
    if len(upsampling) != len(parts):
        example = "::".join(["1", "2", *["1"] * len(parts)][: len(parts)])
        raise SightwordError(
            f"--upsampling has {len(upsampling)} factors and --data has {len(parts)} parts; "
            f"give one factor a part, joined by :: as the parts are, e.g. {example}"
        )
    for factor in upsampling:
        if not (math.isfinite(factor) and factor > 0):
            raise SightwordError(
                f"--upsampling has the factor {factor:g}; it says how often an epoch shows a part: "
                "give one above 0, or leave the part out of --data"
            )
    if all(factor == 1 for factor in upsampling):
        return Order(counts, seed, window)
    return Mixture(counts, parts, upsampling, seed, window)


@final
class Mixture(Ordering):
    """Sources in proportions: an epoch shows round(factor x size) samples of each, evenly spread.

    Before every step, the samples of each source so far differ from its exact share by half a sample at most
    for each fork of the tree above it: by less than one where there are up to four sources. No sample comes
    again before all others of its source have come, and none comes twice in a batch.
    """

    def __init__(
        self,
        counts: Sequence[int],
        parts: Sequence[int],
        upsampling: Sequence[float | int],
        seed: int,
        window: int,
    ) -> None:
        self.counts, self.parts, self.upsampling = tuple(counts), tuple(parts), tuple(upsampling)
        self.seed, self.window = seed, window
        ends = np.cumsum(self.parts).tolist()
        pieces = [self.counts[end - size : end] for end, size in zip(ends, self.parts, strict=True)]
        self._orders = [Order(piece, stream("part", i, seed), window) for i, piece in enumerate(pieces)]
        self._first_ids = np.cumsum([0, *(order.total for order in self._orders[:-1])]).tolist()
        self.shares = tuple(
            round(factor * order.total) for factor, order in zip(upsampling, self._orders, strict=True)
        )
        for number, share in enumerate(self.shares):
            if share == 0:
                raise self._nothing_left(number)
        self._forks = dict(_forks(sorted(range(len(parts)), key=lambda part: self.shares[part]), self.shares))

    @property
    def total(self) -> int:
        return sum(self.shares)

    def steps_per_epoch(self, batch_size: int) -> int:
        check_batch_size(batch_size, self.total)
        for number, order in enumerate(self._orders):
            if 3 * self._most(number, batch_size) > order.total:
                raise self._too_small(number, batch_size)
        return self.total // batch_size

    def batch(self, step: int, batch_size: int) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"]]:
        assert step >= 0, step
        self.steps_per_epoch(batch_size)
        pieces = [self._piece(number, step, batch_size) for number in range(len(self.parts))]
        # Each source is spread over the batch: a rank takes a slice of it, and its batch norms see them all.
        places = np.concatenate([(np.arange(len(ids)) + 0.5) / max(1, len(ids)) for _, ids in pieces])
        spread = np.argsort(places, kind="stable")
        epochs, ids = (np.concatenate(arrays)[spread] for arrays in zip(*pieces, strict=True))
        return epochs, ids

    def before(self, number: int, position: int) -> int:
        """How many of a run's first `position` samples are of source `number`."""
        for fork in self._forks[number]:
            left = (2 * position * fork.left + fork.whole) // (2 * fork.whole)
            position = left if fork.to_left else position - left
        return position

    def digest(self, batch_size: int) -> str:
        about = (self.counts, self.parts, self.shares, self.seed, self.window, batch_size)
        content = hashlib.blake2b(repr(about).encode(), digest_size=16)
        steps = self.steps_per_epoch(batch_size)
        for step in (0, steps // 2, steps - 1, steps, 3 * steps):
            epochs, ids = self.batch(step, batch_size)
            content.update(epochs.astype("<i8").tobytes() + ids.astype("<i8").tobytes())
        return content.hexdigest()

    def _piece(self, number: int, step: int, batch_size: int) -> tuple[_Numbers, _Numbers]:
        """What a source gives to a step: own epochs and sample ids."""
        order, near = self._orders[number], self._most(number, batch_size)
        start, stop = (self.before(number, s * batch_size) for s in (step, step + 1))
        epoch, first = divmod(start, order.total)
        here = np.arange(first, min(first + stop - start, order.total))
        there = np.arange(stop - start - len(here))  # of the next epoch
        ids = [_parted(order, epoch, here, near), _parted(order, epoch + 1, there, near)]
        epochs = np.repeat([epoch, epoch + 1], [len(here), len(there)])
        return epochs, np.concatenate(ids) + self._first_ids[number]

    def _most(self, number: int, count: int) -> int:
        """A bound on the samples that a source gives to any `count` in a row."""
        for fork in self._forks[number]:
            count = -(-count * fork.mine // fork.whole)
        return count

    def _too_small(self, number: int, batch_size: int) -> SightwordError:
        return SightwordError(
            f"part {number + 1} of --data holds {self._orders[number].total:,} pairs, and up to "
            f"{self._most(number, batch_size):,} of them would be in each batch of {batch_size:,}, where "
            f"a third is the most; lower its factor {self.upsampling[number]:g} or --batch-size"
        )

    def _nothing_left(self, number: int) -> SightwordError:
        return SightwordError(
            f"part {number + 1} of --data holds {self._orders[number].total:,} pairs, of which its factor "
            f"{self.upsampling[number]:g} in --upsampling leaves none; raise it or leave the part out"
        )


def _parted(order: Order, epoch: int, positions: _Numbers, near: int) -> _Numbers:
    """Sample ids at positions of an epoch, of which the first `near` are none of the last ones before it.

    Where a batch takes the end of an epoch and the beginning of the next, a sample could be in both. Such
    samples at the beginning trade places with others in the `near` positions behind it. Trades never reach
    an epoch's end, of which there are three times `near` positions at least, so no epoch asks more than the
    one before it.
    """
    if not len(positions):
        return positions
    if epoch and positions[0] < 2 * near:
        last = order.ids(epoch - 1, np.arange(order.total - near, order.total))
        seen = np.isin(order.ids(epoch, np.arange(2 * near)), last)
        again = np.flatnonzero(seen[:near])
        fresh = near + np.flatnonzero(~seen[near:])[: len(again)]
        places = np.arange(2 * near)
        places[again], places[fresh] = fresh, again
        early = positions < 2 * near
        positions = np.where(early, places[np.where(early, positions, 0)], positions)
    return order.ids(epoch, positions)


@dataclass(frozen=True)
class _Fork:
    """A place where samples are divided between two groups of sources, `left` of every `whole` to one."""

    left: int
    whole: int
    to_left: bool  # where this source is

    @property
    def mine(self) -> int:
        return self.left if self.to_left else self.whole - self.left


def _forks(
    parts: Sequence[int], shares: Sequence[int], above: tuple[_Fork, ...] = ()
) -> Iterator[tuple[int, tuple[_Fork, ...]]]:
    """The forks from the root to each source, in a tree that halves the list of sources again and again.

    Rounding shares of all samples one source after another (floors of cumulative shares) would be as exact,
    but a source with few samples could be asked for fewer than it has given; a fork only ever divides more.
    """
    if len(parts) == 1:
        yield parts[0], above
        return
    halves = parts[: len(parts) // 2], parts[len(parts) // 2 :]
    left, whole = (sum(shares[part] for part in group) for group in (halves[0], parts))
    for half, to_left in zip(halves, (True, False), strict=True):
        yield from _forks(half, shares, (*above, _Fork(left, whole, to_left)))
