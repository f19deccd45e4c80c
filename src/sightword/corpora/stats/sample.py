"""Which pairs are looked at: all of a small corpus, a random sample of a large one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from sightword.randomness import stream, uniform

FEW_SHARDS = 8  # of a remote source: to sample it evenly would fetch all of it
_Numbers = Int64[np.ndarray, " m"]


def sample(counts: Sequence[int], remote: Sequence[int], most: int, seed: int) -> _Numbers:
    """Numbers of pairs, ascending, each pair as likely as any other.

    Args:
        counts: pairs of each shard (`Pairs.counts`).
        remote: bytes that must be fetched for each of them (`Pairs.remote_bytes`). Where there are any,
            only the pairs of a few shards, drawn at random, are taken.
        most: how many; 0: all.
        seed: another one draws others.

    Returns:
        shape (m,), m <= most.
    """
    total = int(sum(counts))
    if most == 0 or total <= most:
        return np.arange(total, dtype=np.int64)
    if not any(remote):
        return distinct(total, most, seed)
    sizes = np.asarray(counts, dtype=np.int64)
    shards = distinct(len(sizes), min(FEW_SHARDS, len(sizes)), seed)
    starts = np.cumsum(sizes) - sizes
    there = np.concatenate([starts[shard] + np.arange(sizes[shard]) for shard in shards.tolist()])
    return there[distinct(len(there), min(most, len(there)), seed)]


def distinct(total: int, most: int, seed: int) -> _Numbers:
    """`most` of the numbers below `total`, ascending, every choice as likely; in memory for `most` alone."""
    if most > total // 2:
        kept = np.ones(total, dtype=np.bool_)
        kept[_draw(total, total - most, seed)] = False
        return np.flatnonzero(kept).astype(np.int64)
    return np.sort(_draw(total, most, seed))


def _draw(total: int, most: int, seed: int) -> _Numbers:
    """Draw with replacement and keep what is new: the first `most` different numbers, in drawn order."""
    drawn = np.zeros(0, dtype=np.int64)
    tried = 0
    while len(drawn) < most:
        more = 2 * (most - len(drawn)) + 16
        luck = uniform(seed, stream("data stats"), np.arange(tried, tried + more), 0, 1)[:, 0]
        tried += more
        every = np.concatenate([drawn, (luck * total).astype(np.int64)])
        first = np.sort(np.unique(every, return_index=True)[1])
        drawn = every[first][:most]
    return drawn
