from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightword.pairs.tars.contents import IndexReport, ShardFacts
from sightword.pairs.tars.corpus_index import UNREADABLE, CorpusIndex, Described

DIGESTS = st.binary(min_size=16, max_size=16).map(bytes.hex)
COUNT = st.integers(0, 50)
SPLITS = st.lists(st.tuples(st.sampled_from("abc"), COUNT, COUNT), max_size=3, unique_by=lambda s: s[0])
SHARD = st.tuples(
    st.text(min_size=1, max_size=5), st.integers(0, 2**50), COUNT, COUNT, COUNT, DIGESTS, DIGESTS, SPLITS
)
SHARDS = st.lists(SHARD, max_size=5)
SOME = settings(max_examples=40, deadline=None)


def made(shards: list[tuple]) -> list[Described]:
    found = []
    for name, size, samples, ignored, captionless, digest, whole, splits in shards:
        report = IndexReport(samples=samples, without_caption=60, ignored=ignored)
        found.append(Described(name, size, ShardFacts(report, captionless, digest, whole, tuple(splits))))
    return found


@SOME
@given(SHARDS, st.booleans())
def test_what_is_read_is_what_was_written(shards, captionless):
    shards = made(shards)
    index = CorpusIndex.read(CorpusIndex.of(shards).packed())
    assert len(index) == len(shards)
    assert index.names == [shard.name for shard in shards]
    assert index.lists(index.names)
    assert index.sizes.tolist() == [shard.size for shard in shards]
    served = [captionless * shard.facts.captionless for shard in shards]
    samples = [shard.facts.report.samples for shard in shards]
    assert index.counts("", captionless).tolist() == [a + b for a, b in zip(samples, served, strict=True)]
    digests = [shard.facts.whole if captionless else shard.facts.digest for shard in shards]
    assert [digest.tobytes().hex() for digest in index.digests(captionless)] == digests
    reports = [shard.facts.report for shard in shards]
    total = sum(reports, IndexReport())
    assert index.report(captionless) == (total.with_captionless(sum(served)) if captionless else total)


@SOME
@given(SHARDS, st.sampled_from("abcd"), st.booleans())
def test_splits_are_counted_shard_by_shard(shards, split, captionless):
    shards = made(shards)
    index = CorpusIndex.of(shards)
    expected = []
    for shard in shards:
        found = {name: pairs + captionless * others for name, pairs, others in shard.facts.splits}
        expected.append(found.get(split, 0))
    assert index.counts(split, captionless).tolist() == expected
    assert index.split_names == sorted({name for shard in shards for name, *_ in shard.facts.splits})


@SOME
@given(SHARDS, SHARDS, st.data())
def test_shards_are_joined_and_chosen(first, second, data):
    first, second = made(first), made(second)
    both, shards = CorpusIndex.of(first) + CorpusIndex.of(second), first + second
    assert both.packed() == CorpusIndex.of(shards).packed()
    rows = data.draw(st.lists(st.integers(0, len(shards) - 1), max_size=6)) if shards else []
    chosen = both.take(np.array(rows, dtype=np.int64))
    assert chosen.packed() == CorpusIndex.of([shards[row] for row in rows]).packed()
    assert chosen.data_hash("b", True) == CorpusIndex.of([shards[row] for row in rows]).data_hash("b", True)


def described(name: str, **report: int) -> Described:
    facts = ShardFacts(IndexReport(**report), 2, "ab" * 16, "cd" * 16, (("train", 3, 1),))
    return Described(name, 1000, facts)


def test_any_tool_reads_it():
    index = CorpusIndex.of([described("0.tar", samples=7), described("1.tar", samples=8)])
    table = pa.ipc.open_file(index.packed()).read_all()
    assert table["name"].to_pylist() == ["0.tar", "1.tar"]
    assert table["samples"].to_pylist() == [7, 8]
    assert table["splits"].to_pylist()[0] == [{"name": "train", "pairs": 3, "captionless": 1}]


def test_rows_with_a_count_are_found():
    index = CorpusIndex.of([described("0.tar", samples=7), described("1.tar", bad_json=1, ignored=2)])
    assert index.having("bad_json", "duplicates").tolist() == [1]
    assert index.having("samples", "ignored").tolist() == [0, 1]


def test_no_flipped_bit_and_no_cut_is_believed():
    """Every value that is used is under the fingerprint; bits between the values may turn unseen."""
    index = CorpusIndex.of([described(f"{n}.tar", samples=n) for n in range(3)])
    whole = index.packed()
    believed = 0
    for place in range(len(whole)):
        torn = bytearray(whole)
        torn[place] ^= 1 << place % 8
        try:
            found = CorpusIndex.read(bytes(torn))
        except UNREADABLE:
            continue
        believed += 1
        assert found.batch.equals(index.batch)
    assert believed < len(whole) * 0.7
    for length in range(0, len(whole), 61):
        with pytest.raises(UNREADABLE):
            CorpusIndex.read(whole[:length])
