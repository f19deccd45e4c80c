from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from flaky_server import Behaviour, serving

from sightword.pairs.base import Pairs
from sightword.pairs.order import Order
from sightword.pairs.reading import Reading
from sightword.pairs.remote.ahead import Ahead, cache_note
from sightword.pairs.remote.cache import GIB, ShardCache
from sightword.pairs.remote.patience import Patience
from sightword.pairs.remote.prefetch import THREADS, Prefetcher
from sightword.pairs.remote.stores import store_of
from sightword.pairs.sources import open_pairs


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_wanted_comes_and_no_more_than_there_is_room_for(
    shards: Path, quick: Patience, own_cache: Path
) -> None:
    behaviour = Behaviour(shards)
    with serving(behaviour) as url:
        store = store_of(url, 2.0)
        remotes = [store.look(f"{url}/{n:05d}.tar") for n in (3, 0, 4, 1)]
        behaviour.rate = 0.2
        cache = ShardCache((sum(remote.size for remote in remotes[:3]) + 10) / GIB, quick)
        prefetcher = Prefetcher(cache)
        prefetcher.want(remotes)
        until(lambda: all(map(cache.holds, remotes[:3])) and not prefetcher._threads)
        assert not cache.holds(remotes[3])
        prefetcher.want(remotes[1:])
        until(lambda: all(map(cache.holds, remotes[1:])) and not prefetcher._threads)
        assert not cache.holds(remotes[0])


def test_a_shard_that_cannot_be_fetched_stops_nothing(shards: Path, quick: Patience) -> None:
    behaviour = Behaviour(shards)
    with serving(behaviour) as url:
        remotes = [store_of(url, 2.0).look(f"{url}/{n:05d}.tar") for n in range(5)]
        for n in range(THREADS):
            (shards / f"{n:05d}.tar").unlink()
        cache = ShardCache(1.0, quick)
        prefetcher = Prefetcher(cache)
        prefetcher.want(remotes)
        until(lambda: cache.holds(remotes[4]) and not prefetcher._threads)


class Asked(Pairs):
    """Ten shards of 8 pairs; every second one lies elsewhere."""

    counts = (8,) * 10
    remote_bytes = (0, 100) * 5
    keys = data_hash = report = None

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __getitem__(self, i): ...

    def text(self, i): ...

    def prefetch(self, shards: Sequence[int]) -> None:
        self.asked.append(list(shards))


@pytest.mark.parametrize("start", [0, 7, 33])
def test_the_shards_of_coming_steps_are_asked_for_in_time(start: int) -> None:
    pairs, total = Asked(), 50
    order = Order(pairs.counts, seed=1, window=2)
    ahead = Ahead(pairs, order, 4, 2)
    assert ahead.steps == 4  # two shards of eight, four at a time
    for step in range(start, total):
        ahead(step, total)
        needed = []
        for coming in range(step, min(step + 5, total)):
            needed += [i // 8 for i in sorted(order.batch(coming, 4)[1].tolist()) if i // 8 % 2]
        assert pairs.asked[-1] == list(dict.fromkeys(needed)) if needed else True
    assert 1 < len(pairs.asked) <= total - start


def test_local_pairs_are_asked_nothing(shards: Path) -> None:
    pairs = open_pairs(str(shards))

    class Never(Order):
        def batch(self, *_):
            raise AssertionError

    Ahead(pairs, Never(pairs.counts, 0, 2), 4, 2)(0, 10)


def test_joined_pairs_ask_each_source_for_its_own(shards: Path, quick: Patience) -> None:
    with serving(Behaviour(shards)) as url:
        where = f"{url}/{{00000..00001}}.tar::{shards}/00002.tar::{url}/{{00003..00004}}.tar"
        pairs = open_pairs(where, reading=Reading(patience=quick))
        for copy in (shards.parent / "cache" / "shards").glob("*.tar"):
            copy.unlink()
        before = pairs.transfers.shards
        pairs.prefetch([4, 2, 1])
        until(lambda: pairs.transfers.shards == before + 2)
        names = {copy.stat().st_size for copy in (shards.parent / "cache" / "shards").glob("*.tar")}
        assert names == {(shards / f"0000{n}.tar").stat().st_size for n in (1, 4)}


def test_a_bound_below_a_window_is_told_with_the_one_to_set() -> None:
    pairs = Asked()
    pairs.remote_bytes = (0, 3 * GIB, 1 * GIB, 2 * GIB) + (0,) * 6
    assert cache_note(pairs, 2, 5.0) == ""
    note = cache_note(pairs, 3, 5.0)
    assert "a window of 3 remote shards takes up to 6 GiB" in note
    assert "data.shard_cache_gib = 5" in note
    assert "set it to 12 or more" in note
    assert np.isclose(cache_note(pairs, 1, 2.0).count("6 or more"), 1)
