"""Shards that come next, fetched in the background by a few threads of the main process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import final

from sightword.errors import SightwordError
from sightword.pairs.remote.cache import ShardCache
from sightword.pairs.remote.file import Remote

THREADS = 4  # shards fetched at once


@final
class Prefetcher:
    """Fetches ahead, no further than the cache has room; threads live while there is something to fetch."""

    def __init__(self, cache: ShardCache) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._waiting = deque[Remote]()
        self._running = set[Remote]()
        self._threads = 0

    def want(self, remotes: Sequence[Remote]) -> None:
        """These will be needed, the next one first; what was wanted before and has not begun is forgotten."""
        ends = accumulate(remote.size for remote in remotes)
        fitting = [remote for remote, end in zip(remotes, ends, strict=True) if end <= self._cache.bound]
        self._cache.wanted(fitting)
        with self._lock:
            self._waiting = deque(
                remote for remote in fitting if remote not in self._running and not self._cache.holds(remote)
            )
            for _ in range(min(THREADS - self._threads, len(self._waiting))):
                self._threads += 1
                # Daemons: a run that ends does not wait for them, and what arrived so far is kept.
                threading.Thread(target=self._work, daemon=True, name="sightword-prefetch").start()

    def _work(self) -> None:
        while (remote := self._next()) is not None:
            try:
                self._cache.fetch(remote)
            except SightwordError:
                pass  # whoever reads this shard meets the same and tells it; failures are in the journal
            finally:
                with self._lock:
                    self._running.discard(remote)

    def _next(self) -> Remote | None:
        with self._lock:
            if not self._waiting:
                self._threads -= 1
                return None
            remote = self._waiting.popleft()
            self._running.add(remote)
            return remote
