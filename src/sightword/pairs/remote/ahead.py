"""Which remote shards the coming steps of a run read, told to the pairs in time to fetch them."""

from __future__ import annotations

import math
from collections import deque
from typing import final

import numpy as np
from jaxtyping import Int64

from sightword.pairs.base import Pairs
from sightword.pairs.order import Ordering
from sightword.pairs.remote.cache import GIB

_MOST = 4096  # steps looked ahead, at most
_ALL = slice(None)


@final
class Ahead:
    """Asks for the shards of the next steps, as many steps as a window of shards lasts. For the main process.

    Args:
        pairs: where samples come from.
        order: which samples a step sees.
        batch_size: samples in a step.
        window: shards that are shuffled together.
        own: which of a step's samples this process reads.
    """

    def __init__(
        self, pairs: Pairs, order: Ordering, batch_size: int, window: int, own: slice = _ALL
    ) -> None:
        self.pairs, self.order, self.batch_size, self.own = pairs, order, batch_size, own
        counts = np.array(pairs.counts, dtype=np.int64)
        self._ends = np.cumsum(counts)
        filled = max(1, int((counts > 0).sum()))
        self.steps = min(_MOST, math.ceil(window * len(pairs) / filled / batch_size))
        self._far = np.asarray(pairs.remote_bytes) > 0
        self._coming = deque[tuple[int, Int64[np.ndarray, " s"]]]()
        self._asked: list[int] = []

    def __call__(self, step: int, total: int) -> None:
        """Step `step` comes next, of `total`."""
        if not self._far.any():
            return
        while self._coming and self._coming[0][0] < step:
            self._coming.popleft()
        first = self._coming[-1][0] + 1 if self._coming else step
        for coming in range(first, min(step + self.steps, total - 1) + 1):
            self._coming.append((coming, self._shards(coming)))
        wanted = list(dict.fromkeys(int(shard) for _, shards in self._coming for shard in shards))
        if wanted != self._asked:
            self._asked = wanted
            self.pairs.prefetch(wanted)

    def _shards(self, step: int) -> Int64[np.ndarray, " s"]:
        _, ids = self.order.batch(step, self.batch_size)
        shards = np.unique(np.searchsorted(self._ends, ids[self.own], side="right"))
        found: Int64[np.ndarray, " s"] = shards[self._far[shards]]
        return found


def cache_note(pairs: Pairs, window: int, gib: float) -> str:
    """What to tell a user whose disk bound is smaller than the shards that are read together; else nothing.

    Args:
        pairs: where samples come from.
        window: shards that are shuffled together.
        gib: the bound, `data.shard_cache_gib`.
    """
    sizes = np.sort(np.asarray(pairs.remote_bytes, dtype=np.int64))
    needed = int(sizes[-window:].sum()) / GIB
    if needed <= gib:
        return ""
    enough = math.ceil(2 * needed * 100) / 100
    return (
        f"a window of {window} remote shards takes up to {needed:.2g} GiB, more than data.shard_cache_gib = "
        f"{gib:g}: shards will be fetched again and again; set it to {enough:g} or more"
    )
