"""Parts of the data: what is held out is never trained on, and smaller subsets lie within larger ones."""

from __future__ import annotations

import os
import pickle
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shard import small_shard
from tiny_pictures import save

from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.mixture import make_order
from sightword.pairs.order import Order
from sightword.pairs.part import Part
from sightword.pairs.parts import held_out, held_out_part, part_of
from sightword.pairs.sample import Sample, Text
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import IndexReport


class Counted(Pairs):
    """Pairs that are nothing but numbers, as many as one likes in shards; some share a picture."""

    def __init__(self, counts, marks=None, far=0, bad=()):
        self._counts, self.marks, self.far, self.bad = tuple(counts), marks, far, bad
        self.asked = []

    def __getitem__(self, i):
        return Sample(*vars(self.text(i)).values(), image=b"%d" % i)

    def text(self, i):
        if i in self.bad:
            raise BadSample(f"k{i}", "torn")
        return Text(f"k{i}", (f"caption {i}",), {})

    counts = property(lambda self: self._counts)
    keys = property(lambda self: [f"k{i}" for i in range(len(self))])
    data_hash = property(lambda self: f"hash of {self._counts}")
    report = property(lambda self: IndexReport(samples=len(self)))
    notes = property(lambda self: ("a note",))
    remote_bytes = property(lambda self: [self.far] * len(self._counts))
    unreadable = property(lambda self: (("x", "was bad"),))

    def prefetch(self, shards):
        self.asked.append(list(shards))

    def same_pictures(self):
        return None if self.marks is None else np.array(self.marks, dtype=np.uint64)


def numbers(part: Pairs) -> list[int]:
    """The ids of a part, by what its pairs say."""
    return [int(part[i].image) for i in range(len(part))]


COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=9).filter(lambda counts: sum(counts) > 3)
SOME = settings(max_examples=40, deadline=None)


@SOME
@given(COUNTS, st.data())
def test_a_part_is_the_whole_without_the_others(counts, data):
    whole = Counted(counts, marks=range(100, 100 + sum(counts)))
    total = sum(counts)
    chosen = sorted(data.draw(st.sets(st.integers(0, total - 1))))
    others = sorted(set(range(total)) - set(chosen))
    one = Part(whole, np.array(chosen, dtype=np.int64), True, "some")
    two = Part(whole, np.array(others, dtype=np.int64), False, "some")
    shard_of = np.repeat(np.arange(len(counts)), counts)
    for part in (one, two, pickle.loads(pickle.dumps(two))):
        assert len(part) == len(chosen)
        assert numbers(part) == chosen
        assert [part[i - len(part)].key for i in range(len(part))] == [f"k{i}" for i in chosen]
        assert [text.caption for text in part.texts()] == [f"caption {i}" for i in chosen]
        assert list(part.keys) == list(part.keys[:]) == [f"k{i}" for i in chosen]
        assert part.counts == tuple(np.bincount(shard_of[chosen], minlength=len(counts)).tolist())
        assert part.same_pictures().tolist() == [100 + i for i in chosen]
        for wrong in (len(part), -len(part) - 1):
            with pytest.raises(IndexError, match=f"pair {wrong} of {len(part)}"):
                part[wrong]


def test_a_part_tells_what_the_whole_tells():
    whole = Counted([3, 0, 2, 4], far=50, bad=(1,))
    part = Part(whole, np.array([0, 1, 5, 6]), True, "some", "told")
    assert part.remote_bytes == [50, 0, 0, 50]  # of the third shard nothing is left to fetch
    part.prefetch([3, 0])
    assert whole.asked == [[3, 0]]
    assert (part.notes, part.unreadable, part.report) == (("a note", "told"), whole.unreadable, whole.report)
    assert [text.key for text in part.texts()] == ["k0", "k1", "k5", "k6"]
    assert [text.captions for text in part.texts()][1] == ()
    with pytest.raises(BadSample):
        part[1]


@SOME
@given(COUNTS, st.integers(0, 50), st.data())
def test_held_out_and_nested(counts, seed, data):
    whole = Counted(counts)
    total = sum(counts)
    out = data.draw(st.integers(0, total - 2))
    held = held_out(whole, out).tolist()
    assert held == sorted(set(held))
    assert len(held) == out
    assert held == numbers(held_out_part(whole, out)) if out else held == []
    before: set[int] = set()
    for samples in sorted({*data.draw(st.sets(st.integers(1, total - out), max_size=3)), total - out}):
        part = part_of(whole, out, samples, seed)
        mine = numbers(part)
        assert len(mine) == len(part) == samples == sum(part.counts)
        assert before < set(mine) <= set(range(total)) - set(held)
        assert mine == sorted(mine)
        before = set(mine)
    assert numbers(part_of(whole, out, 0, seed)) == sorted(before)
    assert before | set(held) == set(range(total))


def test_what_is_held_out_knows_no_seed_and_subsets_do():
    whole = Counted([500, 500])
    parts = [part_of(whole, 100, 300, seed) for seed in (0, 1, 2)]
    ids = [set(numbers(part)) for part in parts]
    held = set(held_out(whole, 100).tolist())
    assert all(not mine & held for mine in ids)
    overlap = [len(ids[a] & ids[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert all(60 < count < 140 for count in overlap), overlap  # 100 by chance, of 300 out of 900
    assert set(held_out(whole, 50).tolist()) < held
    assert len({part.data_hash for part in (whole, *parts)}) == 4
    assert parts[0].data_hash == part_of(Counted([500, 500]), 100, 300, 0).data_hash


def test_every_pair_is_as_likely_to_be_drawn():
    """Over many seeds; and those held out are spread over the shards."""
    whole, drawn, places = Counted([40] * 10), np.zeros(400), np.arange(60)
    for seed in range(150):
        drawn[part_of(whole, 40, 60, seed).numbers_in_whole(places)] += 1
    held = held_out(whole, 40)
    rest = np.delete(drawn, held)
    assert drawn[held].sum() == 0
    assert abs(rest - 150 * 60 / 360).max() < 5 * np.sqrt(150 * 60 / 360)
    assert len(np.unique(held // 40)) >= 8


def test_equal_hashes_mean_equal_parts():
    whole = Counted([50], marks=[i // 5 for i in range(50)])
    other = Counted([50])
    assert whole.data_hash == other.data_hash
    assert part_of(whole, 10, 0, 0).data_hash != part_of(other, 10, 0, 0).data_hash
    assert part_of(whole, 0, 50, 3) is whole  # nothing is chosen
    assert part_of(whole, 10, 40, 3).data_hash == part_of(whole, 10, 0, 9).data_hash  # all of the others


def test_pairs_of_one_picture_stay_together():
    generator = np.random.default_rng(0)
    of = np.repeat(np.arange(60), generator.integers(1, 7, 60))
    generator.shuffle(of)
    for marks in (of, 1000 - of):  # only which are equal counts, not what the marks are
        whole = Counted([len(of)], marks=marks)
        for count in (7, 30, 100):
            held = held_out(whole, count)
            assert count - 6 < len(held) <= count
            assert not set(of[held]) & set(np.delete(of, held))
            assert held.tolist() == held_out(Counted([len(of)], marks=of), count).tolist()


def test_a_picture_of_very_many_pairs_does_not_stop_the_draw():
    whole = Counted([300], marks=[0] * 200 + list(range(1, 101)))
    assert len(held_out(whole, 50)) == 50
    assert not set(held_out(whole, 50).tolist()) & set(range(200))
    with pytest.raises(SightwordError, match="every picture comes in 150 or more"):
        held_out(Counted([300], marks=[0] * 150 + [1] * 150), 50)


@pytest.mark.parametrize(
    ("out", "samples", "message"),
    [
        (0, 101, "asks for 101 pairs, and there are 100; give 100 or less"),
        (10, 91, "asks for 91 pairs, and there are 90 beside the 10 that are held out; give 90 or less"),
        (100, 0, "held_out asks for 100 pairs, and there are 100, of which training needs some"),
        (-1, 0, "held_out is -1"),
        (0, -5, "samples is -5"),
    ],
)
def test_more_than_there_are(out, samples, message):
    with pytest.raises(SightwordError, match=message) as found:
        part_of(Counted([60, 40]), out, samples, 0)
    assert "\n" not in str(found.value)


def test_a_billion_pairs_cost_what_is_chosen():
    whole = Counted([10_000] * 100_000)
    tracemalloc.start()
    part = part_of(whole, 10_000, 1_000_000, 7)
    order = Order(part.counts, 7, 8)
    _, ids = order.batch(100, 4096)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 300 << 20  # a list of all would be 8 GB
    assert len(part) == sum(part.counts) == 1_000_000
    chosen = part.numbers_in_whole(ids)
    assert not np.isin(chosen, held_out(whole, 10_000)).any()
    assert part[int(ids[0])].key == f"k{chosen[0]}"
    assert part.keys[int(ids[0])] == f"k{chosen[0]}"
    all_but = part_of(whole, 10_000, 0, 7)
    assert len(all_but) == 999_990_000
    assert all_but[999_989_999].key == f"k{max(set(range(10**9 - 50, 10**9)) - set(all_but.ids.tolist()))}"


def test_a_window_reads_its_own_shards_only():
    part = part_of(Counted([50] * 12), 60, 300, 3)
    order = Order(part.counts, 3, 2)
    shard_of = np.repeat(np.arange(12), 50)
    shards = shard_of[part.numbers_in_whole(order.ids(0, np.arange(order.total)))]
    seen = list(dict.fromkeys(shards.tolist()))
    pairs = [set(seen[i : i + 2]) for i in range(0, 12, 2)]
    filled = np.bincount(shards, minlength=12)
    position = 0
    for pair in pairs:
        size = int(filled[list(pair)].sum())
        assert set(shards[position : position + size].tolist()) == pair
        position += size


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Twelve pictures of three captions each, a row for each caption, mixed."""
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    names = [str(save(tmp_path / "images" / f"{i}.png", i).relative_to(tmp_path)) for i in range(12)]
    rows = [
        (f"./{name}" if k == 1 else name, f"caption {k} of {i}")
        for k in range(3)
        for i, name in enumerate(names)
    ]
    lines = ["filepath,title", *(f"{name},{caption}" for name, caption in rows)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path


def of_picture(pairs: Pairs) -> list[str]:
    return [text.caption.split()[-1] for text in pairs.texts()]


def test_rows_of_one_file_stay_together(table):
    whole = open_pairs(str(table / "pairs.csv"))
    held, rest = held_out_part(whole, 9), part_of(whole, 9, 0, 0)
    assert len(held) == 9
    assert len(set(of_picture(held))) == 3
    assert not set(of_picture(held)) & set(of_picture(rest))
    assert sorted(of_picture(held) + of_picture(rest)) == sorted(of_picture(whole))
    before = rest.data_hash
    moved = table / "moved"
    moved.mkdir()
    for name in ("images", "pairs.csv"):
        shutil.move(table / name, moved / name)
    again = open_pairs(str(moved / "pairs.csv"))
    assert held_out(again, 9).tolist() == held.ids.tolist()
    assert part_of(again, 9, 0, 0).data_hash == before


def test_one_file_named_by_two_tables(table):
    """Of two sources; and a tar beside them, whose every sample is a picture of its own."""
    text = (table / "pairs.csv").read_text().splitlines()
    (table / "more.csv").write_text("\n".join([text[0], *text[25:]]))
    tar = small_shard(table / "a.tar", 20)
    whole = open_pairs(f"{tar}::{table / 'pairs.csv'}::{table / 'more.csv'}")
    marks = whole.same_pictures()
    assert len(marks) == 20 + 36 + 12
    assert len(np.unique(marks)) == 20 + 12
    part = part_of(whole, 16, 30, 5)
    assert part.parts == whole.parts == (1, 1, 1)
    order = make_order(part.counts, part.parts, (1.0, 2.0, 0.5), 5, 8)
    shares = [round(f * c) for f, c in zip((1, 2, 0.5), part.counts, strict=True)]
    assert order.total == sum(shares)
    held = set(held_out(whole, 16).tolist())
    chosen = set(part.numbers_in_whole(order.batch(0, 4)[1]).tolist())
    assert not held & chosen
    named = dict(enumerate(marks.tolist()))
    assert not {named[i] for i in held} & {named[i] for i in set(range(68)) - held}


def test_keys_of_rows_with_their_bytes(tmp_path, monkeypatch):
    """Parquet that holds pictures: rows of one key are one picture, of two files of like keys two."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    for name in "ab":
        image = [{"bytes": b"%d" % (i // 2), "path": f"{i // 2}.png"} for i in range(8)]
        table = pa.table({"image": image, "caption": [f"{name} {i}" for i in range(8)]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    whole = open_pairs(f"{tmp_path / 'a.parquet'}::{tmp_path / 'b.parquet'}")
    marks = whole.same_pictures()
    assert len(np.unique(marks)) == 8
    assert (marks[::2] == marks[1::2]).all()


def test_two_processes_read_the_same_part(table):
    whole = open_pairs(str(table / "pairs.csv"))
    part = part_of(whole, 6, 20, 1)
    again = pickle.loads(pickle.dumps(part))
    assert [again[i] for i in range(20)] == [part[i] for i in range(20)]
    assert again.data_hash == part.data_hash
    os.remove(table / "images" / "3.png")
    bad = [i for i, text in enumerate(part.texts()) if text.caption.endswith(" 3")]
    for i in bad:
        with pytest.raises(BadSample):
            part[i]
    assert replace(part[next(i for i in range(20) if i not in bad)], image=b"").captions
