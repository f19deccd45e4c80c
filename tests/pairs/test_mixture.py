from __future__ import annotations

import bisect
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sightword.errors import SightwordError
from sightword.pairs import mixture as room
from sightword.pairs.mixture import Mixture, make_order
from sightword.pairs.order import Order

SEEDS = st.integers(-5, 2**31)
SOME = settings(max_examples=25, deadline=None)
SHARDS = st.lists(st.integers(0, 30), min_size=1, max_size=4).filter(sum)
FACTOR = st.floats(0.2, 5)


SOURCES = st.lists(st.tuples(SHARDS, FACTOR), min_size=1, max_size=4)
MIXTURES = st.tuples(SOURCES, SEEDS, st.integers(1, 5), st.floats(0, 1))


def made(drawn: tuple) -> tuple[Mixture, int]:
    """A mixture, and a batch size that its sources are large enough for."""
    sources, seed, window, size = drawn
    assume(all(round(sum(shards) * factor) for shards, factor in sources))
    counts = [count for shards, _ in sources for count in shards]
    parts = [len(shards) for shards, _ in sources]
    mixture = Mixture(counts, parts, [factor for _, factor in sources], seed, window)
    most = bisect.bisect_left(range(1, mixture.total + 1), True, key=lambda size: not fits(mixture, size))
    assume(most)
    return mixture, 1 + round(size * (most - 1))


def fits(mixture: Mixture, size: int) -> bool:
    try:
        return mixture.steps_per_epoch(size) > 0
    except SightwordError:
        return False


def part_of(mixture: Mixture) -> np.ndarray:
    """The source of every sample id, counted the slow way."""
    shards = iter(mixture.counts)
    sizes = [sum(next(shards) for _ in range(part)) for part in mixture.parts]
    return np.repeat(np.arange(len(sizes)), sizes)


@SOME
@given(MIXTURES, st.integers(1, 40))
def test_every_prefix_holds_each_source_in_its_proportion(drawn, many):
    mixture, size = made(drawn)
    sources, seen = part_of(mixture), Counter()
    for step in range(many):
        _, ids = mixture.batch(step, size)
        seen.update(sources[ids].tolist())
        for part, share in enumerate(mixture.shares):
            exact = Fraction((step + 1) * size * share, mixture.total)
            assert abs(seen[part] - exact) < 1


@SOME
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.integers(0, 10**15))
def test_with_many_sources_each_fork_adds_half_a_sample(counts, position):
    mixture = Mixture(counts, [1] * len(counts), [2] * len(counts), 0, 1)
    counts = [mixture.before(part, position) for part in range(len(mixture.parts))]
    assert sum(counts) == position
    for part, count in enumerate(counts):
        exact = Fraction(position * mixture.shares[part], mixture.total)
        assert abs(count - exact) <= Fraction(max(1, (len(counts) - 1).bit_length()), 2)
        assert 0 <= mixture.before(part, position + 1) - count <= 1


@SOME
@given(MIXTURES, st.one_of(st.integers(0, 40), st.integers(10**9, 10**9 + 10**6)))
def test_no_batch_holds_a_sample_twice(drawn, step):
    mixture, size = made(drawn)
    epochs, ids = mixture.batch(step, size)
    assert len(ids) == len(epochs) == size == len(set(ids.tolist()))
    assert ids.min() >= 0
    assert ids.max() < sum(mixture.counts)


@SOME
@given(MIXTURES)
def test_no_sample_comes_again_before_all_others_of_its_source(drawn):
    mixture, size = made(drawn)
    sources, seen = part_of(mixture), np.zeros(sum(mixture.counts), dtype=np.int64)
    for step in range(min(80, 4 * mixture.steps_per_epoch(size))):
        epochs, ids = mixture.batch(step, size)
        assert (epochs == seen[ids]).all()  # so every own epoch is a permutation of the source
        seen[ids] += 1
        for part in range(len(mixture.parts)):
            assert np.ptp(seen[sources == part]) <= 1


@SOME
@given(MIXTURES, st.integers(0, 40))
def test_a_batch_does_not_depend_on_what_was_asked_before(drawn, step):
    mixture, size = made(drawn)
    before = [array.tolist() for array in mixture.batch(step, size)]
    mixture.batch(step + 17, size)
    fresh = Mixture(mixture.counts, mixture.parts, mixture.upsampling, mixture.seed, mixture.window)
    assert [array.tolist() for array in mixture.batch(step, size)] == before
    assert [array.tolist() for array in fresh.batch(step, size)] == before


def test_an_epoch_shows_each_source_as_often_as_its_factor_says():
    mixture = make_order([40, 60, 25, 25, 300], [2, 2, 1], (1, 4, 0.5), 3, 2)
    assert mixture.total == 100 + 200 + 150
    seen = np.zeros(450, dtype=np.int64)
    for step in range(mixture.steps_per_epoch(30)):
        _, ids = mixture.batch(step, 30)
        seen[ids] += 1
    assert (seen[:100] == 1).all()
    assert (seen[100:150] == 4).all()
    assert sorted(seen[150:].tolist()) == [0] * 150 + [1] * 150


def test_an_epoch_that_ends_inside_a_batch_repeats_nothing_in_it():
    """What repeats among the first ten of an epoch is moved, and nothing else."""
    order = Order([30], 0, 1)
    plain = [order.ids(epoch, np.arange(30)).tolist() for epoch in range(40)]
    moved = [room._parted(order, epoch, np.arange(30), 10).tolist() for epoch in range(40)]
    assert moved[0] == plain[0]
    for before, epoch, bare in zip(moved, moved[1:], plain[1:], strict=False):
        assert sorted(epoch) == list(range(30))
        assert not set(before[-10:]) & set(epoch[:10])
        assert epoch[20:] == bare[20:]
        changed = [here for here, there in zip(epoch, bare, strict=True) if here != there]
        assert len(changed) == 2 * len(set(before[-10:]) & set(bare[:10]))
    pieces = [room._parted(order, 7, np.arange(start, start + 3), 10) for start in range(0, 30, 3)]
    assert np.concatenate(pieces).tolist() == moved[7]


def test_sources_are_spread_over_the_batch():
    mixture = make_order([900, 300], [1, 1], (1, 3.0), 0, 1)
    _, ids = mixture.batch(7, 96)
    ahead = np.cumsum(ids < 900)
    assert np.abs(ahead - np.arange(1, 97) / 2).max() <= 1  # any rank's slice holds half and half


@pytest.mark.parametrize("step", [0, 1, 10**9, 10**9 + 2441, 10**14])
def test_any_step_costs_the_same(monkeypatch, step):
    """Counted: how many positions are looked up, how many epochs arranged, how many shares rounded."""
    asked, arranged, rounded = [], [], []
    ids, arrange, before = Order.ids, Order._arrange, Mixture.before
    monkeypatch.setattr(Order, "ids", lambda self, *a: asked.append(len(a[1])) or ids(self, *a))
    monkeypatch.setattr(Order, "_arrange", lambda self, *a: arranged.append(a) or arrange(self, *a))
    monkeypatch.setattr(Mixture, "before", lambda self, *a: rounded.append(a) or before(self, *a))
    mixture = make_order([10_000] * 1000, [600, 400], (1, 2.5), 0, 8)
    _, found = mixture.batch(step, 4096)
    assert len(set(found.tolist())) == 4096
    assert 4096 <= sum(asked) <= 4 * 4098  # at most the batch, an end and twice a beginning of each source
    assert len(arranged) <= 4
    assert len(rounded) == 4


def test_the_mixture_stays_what_it_was():
    """A change here changes every run that is resumed: it must be meant."""
    mixture = make_order([9, 3, 8], [2, 1], (1, 1.5), seed=3, window=2)
    epochs, ids = mixture.batch(3, 4)
    assert (epochs.tolist(), ids.tolist()) == ([0, 0, 0, 0], [0, 12, 2, 15])


def test_the_digest_tells_mixtures_apart():
    def digest(counts=(30, 40), parts=(1, 1), factors=(1, 2), seed=0, window=2, size=5):
        return make_order(counts, parts, factors, seed, window).digest(size)

    assert digest() == digest()
    others = [
        digest(counts=(40, 30)),
        digest(counts=(30, 20, 20), parts=(1, 2)),
        digest(counts=(30, 20, 20), parts=(2, 1)),
        digest(factors=(1, 2.5)),
        digest(seed=1),
        digest(size=6),
        digest(factors=(1, 1)),
        digest(factors=()),
    ]
    assert len({digest(), *others}) == len(others) + 1 - 1  # the last two are one and the same order


def test_without_weights_the_order_is_the_plain_one():
    for factors in ((), (1, 1), (1.0, 1.0)):
        order = make_order([3, 4, 5], [1, 2], factors, 7, 2)
        assert isinstance(order, Order)
        assert order.digest(4) == Order([3, 4, 5], 7, 2).digest(4)


@pytest.mark.parametrize(
    ("factors", "size", "says"),
    [
        ((1, 2, 3), 4, "3 factors and --data has 2 parts; give one factor a part, .* e.g. 1::2$"),
        ((1,), 4, "1 factors and"),
        ((1, 0), 4, "the factor 0; it says how often .* give one above 0"),
        ((1, -1), 4, "the factor -1"),
        ((1, float("nan")), 4, "the factor nan"),
        ((float("inf"), 1), 4, "the factor inf"),
        ((1, 0.001), 4, "part 2 of --data holds 10 pairs, of which its factor 0.001 .* leaves none"),
        ((1, 4), 15, "part 2 of --data holds 10 pairs, and up to 5 of them would be in each batch of 15"),
        ((1, 2), 0, "batch size must be at least 1"),
        ((1, 2), 121, "a batch of 121 is larger than the data set of 120 pairs"),
    ],
)
def test_senseless_mixtures_are_refused(factors, size, says):
    with pytest.raises(SightwordError, match=says):
        make_order([60, 40, 10], [2, 1], factors, 0, 1).steps_per_epoch(size)


def test_the_tree_is_no_deeper_than_it_must_be():
    for many in range(1, 20):
        forks = dict(room._forks(range(many), [1] * many))
        assert max(map(len, forks.values())) == (many - 1).bit_length()
