from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightword.errors import SightwordError
from sightword.pairs.order import Order, permuted

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=9).filter(sum)
SEEDS = st.integers(-5, 2**31)
SOME = settings(max_examples=40, deadline=None)


def _epoch(order: Order, epoch: int) -> list[int]:
    return order.ids(epoch, np.arange(order.total)).tolist()


@SOME
@given(COUNTS, SEEDS, st.integers(1, 15), st.integers(0, 1000))
def test_an_epoch_is_a_permutation(counts, seed, window, epoch):
    order = Order(counts, seed, window)
    assert sorted(_epoch(order, epoch)) == list(range(sum(counts)))


@SOME
@given(COUNTS, SEEDS, st.integers(1, 15), st.data())
def test_batches_are_the_epoch_cut_in_pieces(counts, seed, window, data):
    order = Order(counts, seed, window)
    size = data.draw(st.integers(1, order.total))
    steps = order.steps_per_epoch(size)
    assert order.total - size < steps * size <= order.total
    for epoch in (0, 3):
        batches = [order.batch(epoch * steps + step, size) for step in range(steps)]
        assert {int(e) for found, _ in batches for e in found} == {epoch}
        assert list(itertools.chain(*(ids for _, ids in batches))) == _epoch(order, epoch)[: steps * size]


@SOME
@given(COUNTS, SEEDS, st.integers(1, 15), st.lists(st.integers(0, 200), min_size=1))
def test_a_batch_does_not_depend_on_what_was_asked_before(counts, seed, window, steps):
    order = Order(counts, seed, window)
    size = max(1, order.total // 3)
    for step in steps:
        epoch, ids = order.batch(step, size)
        fresh_epoch, fresh_ids = Order(counts, seed, window).batch(step, size)
        assert epoch.tolist() == fresh_epoch.tolist()
        assert ids.tolist() == fresh_ids.tolist()


@SOME
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), SEEDS, st.integers(1, 15))
def test_a_window_of_shards_is_finished_before_the_next_begins(counts, seed, window):
    order = Order(counts, seed, window)
    shard_of = np.repeat(np.arange(len(counts)), counts)
    left = Counter(dict(enumerate(counts)))
    opened: set[int] = set()
    for id in _epoch(order, 2):
        shard = int(shard_of[id])
        if shard not in opened and not +Counter({s: left[s] for s in opened}):
            opened = set()
        opened.add(shard)
        assert len(opened) <= window
        left[shard] -= 1


@SOME
@given(st.integers(1, 3000), st.integers(0, 2**63))
def test_the_keyed_permutation_is_one(size, key):
    everywhere = np.full(size, size, dtype=np.int64)
    keys = np.full(size, key, dtype=np.uint64)
    assert sorted(permuted(np.arange(size), everywhere, keys).tolist()) == list(range(size))


def test_small_permutations_come_equally_often():
    """Chi-square of all 24 orders of four samples over 9,600 keys; 23 degrees of freedom, 99.99 % < 58."""
    keys = np.repeat(np.arange(9600, dtype=np.uint64), 4)
    placed = permuted(np.tile(np.arange(4), 9600), np.full(4 * 9600, 4), keys).reshape(9600, 4)
    found = Counter(map(tuple, placed.tolist()))
    assert len(found) == 24
    assert sum((count - 400) ** 2 / 400 for count in found.values()) < 58


def test_every_sample_comes_everywhere_equally_often():
    """Sample against tenth of the epoch, in a window of uneven shards: all cells within five deviations."""
    counts, epochs = [7, 20, 13, 10], 600
    order = Order(counts, 5, 4)
    cells = np.zeros((50, 10), dtype=np.int64)
    for epoch in range(epochs):
        cells[order.ids(epoch, np.arange(50)), np.arange(50) // 5] += 1
    expected = epochs / 10
    assert np.abs(cells - expected).max() < 5 * np.sqrt(expected * 0.9)


def test_neighbours_are_parted():
    ids = np.array(_epoch(Order([10_000], 1, 1), 0))
    assert (np.abs(np.diff(ids)) == 1).sum() < 12  # 2 expected
    assert abs(np.corrcoef(ids, np.arange(10_000))[0, 1]) < 0.05
    assert abs(np.corrcoef(ids[1:], ids[:-1])[0, 1]) < 0.05


def test_seeds_and_epochs_differ():
    orders = [tuple(_epoch(Order([50, 50], seed, 2), epoch)) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) == 16


def test_the_dropped_tail_differs_between_epochs():
    order = Order([30] * 4, 0, 2)
    dropped = [set(_epoch(order, epoch)[100:]) for epoch in range(3)]
    assert dropped[0] != dropped[1] != dropped[2]


def test_order_holds_no_list_of_samples():
    order = Order([10_000_000] * 1000, 0, 8)
    epoch, ids = order.batch(10**6, 4096)
    assert set(epoch.tolist()) == {10**6 // (10**10 // 4096)}
    assert len(set(ids.tolist())) == 4096
    assert len({id // 10_000_000 for id in ids.tolist()}) <= 16  # two windows at most
    order.batch(0, 4096)
    order.batch(3 * 10**6, 4096)
    arranged = [value for epoch in order._epochs for value in vars(epoch).values()]
    held = [value for value in arranged if isinstance(value, np.ndarray)]
    assert len(held) == 8  # of two epochs
    assert sum(value.nbytes for value in held) < 60_000


@SOME
@given(COUNTS, SEEDS, st.integers(1, 15))
def test_the_digest_tells_orders_apart(counts, seed, window):
    digest = Order(counts, seed, window).digest(1)
    assert Order(tuple(counts), seed, window).digest(1) == digest
    assert Order(counts, seed + 1, window).digest(1) != digest
    assert Order(counts, seed, window + 1).digest(1) != digest
    assert Order([*counts, 1], seed, window).digest(1) != digest
    assert sum(counts) == 1 or Order(counts, seed, window).digest(2) != digest


def test_the_order_stays_what_it_was():
    """A change here changes every run that is resumed: it must be meant."""
    order = Order([5, 0, 7, 3], seed=3, window=2)
    assert order.batch(0, 6)[1].tolist() == [11, 7, 8, 6, 0, 4]
    assert order.batch(7, 6)[1].tolist() == [1, 2, 8, 5, 7, 10]


@pytest.mark.parametrize(
    ("counts", "window", "size", "says"),
    [
        ([3, 4], 1, 8, "a batch of 8 is larger than the data set of 7 pairs; use --batch-size 7 or less"),
        ([3, 4], 1, 0, "batch size must be at least 1"),
        ([3, 4], 0, 1, "window must be at least 1"),
    ],
)
def test_senseless_sizes_are_refused(counts, window, size, says):
    with pytest.raises(SightwordError, match=says):
        Order(counts, 0, window).batch(0, size)
