from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.reading import Reading
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars import shelves as shelves_room
from sightword.pairs.tars.contents import CORPUS, IndexReport
from sightword.pairs.tars.corpus_index import CorpusIndex
from sightword.pairs.tars.places import tars
from sightword.pairs.tars.survey import index_shards, survey


@pytest.fixture
def cc(make_pairs, tmp_path) -> Path:
    """Four shards of 4, 3, 5 and 2 pairs, of two splits."""
    split = {0: "train", 1: "test", 2: "train", 3: "train"}
    for shard, (first, count) in enumerate([(0, 4), (4, 3), (7, 5), (12, 2)]):
        make_pairs(f"cc/{shard:05d}.tar", count, first, split=split[shard])
    return tmp_path / "cc"


def all_of(pairs: Pairs) -> tuple:
    samples = [pairs[i] for i in range(len(pairs))]
    return pairs.counts, pairs.data_hash, pairs.report, samples, list(pairs.keys), list(pairs.texts())


def nobody_examines(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no shard may be examined to open pairs."""

    def examined(paths: list[str]) -> list:
        assert not paths
        return []

    monkeypatch.setattr(shelves_room, "examine_tars", examined)


@pytest.mark.parametrize("split", ["", "train", "test"])
@pytest.mark.parametrize(
    "where", ["{}", "{}/", "{}/*.tar", "{}/{{00000..00003}}.tar", "{}/0000{{2,0,1}}.tar", "{}/00001.tar"]
)
def test_with_an_index_everything_is_as_without(cc, where, split, monkeypatch):
    where = where.format(cc)
    if where.endswith("00001.tar"):
        split = split and "test"
    without = all_of(open_pairs(where, split))
    index_shards(tars(str(cc)))
    nobody_examines(monkeypatch)
    pairs = open_pairs(where, split)
    assert all_of(pairs) == without
    assert pairs.notes == ()


def test_the_index_says_what_there_is(cc):
    (indexed,) = index_shards(tars(str(cc)))
    pairs = open_pairs(str(cc))
    assert indexed.place == str(cc / CORPUS)
    assert (indexed.shards, indexed.captionless) == (4, 0)
    assert indexed.report == IndexReport(samples=14) == pairs.report
    assert indexed.data_hash == pairs.data_hash
    assert indexed.bytes == sum(path.stat().st_size for path in cc.glob("*.tar"))


def test_opening_by_an_index_opens_no_shard(cc):
    index_shards(tars(str(cc)))
    for sidecar in cc.glob("*.index.npz"):
        sidecar.unlink()
    pairs = open_pairs(str(cc))
    assert not list(cc.glob("*.index.npz"))
    assert pairs[13].fields["number"] == 13  # which opens one
    assert len(list(cc.glob("*.index.npz"))) == 1


def test_shards_in_several_folders_have_an_index_each(cc, make_pairs, tmp_path):
    make_pairs("dd/00000.tar", 6, 14)
    pattern = f"{tmp_path}/{{dd,cc}}/{{00000..00000}}.tar"
    without = all_of(open_pairs(pattern))
    found = index_shards(tars(f"{tmp_path}/{{cc,dd}}/{{00000..00000}}.tar"))
    assert [indexed.shards for indexed in found] == [1, 1]
    assert all_of(open_pairs(pattern)) == without
    assert open_pairs(pattern).counts == (6, 4)
    mixed = [
        f"{tmp_path}/{name}" for name in ("cc/00002.tar", "dd/00000.tar", "cc/00000.tar", "cc/00001.tar")
    ]
    assert survey(mixed, "").index.counts().tolist() == [5, 6, 4, 3]


def test_a_missing_shard_is_an_error_where_the_words_take_it_in(cc):
    index_shards(tars(str(cc)))
    (cc / "00001.tar").unlink()
    for where in (cc, cc / "*.tar", f"{cc}/"):
        with pytest.raises(SightwordError) as error:
            open_pairs(str(where))
        assert "1 of the 4 shards in the index" in str(error.value)
        assert "first '00001.tar'" in str(error.value)
        assert f"sightword data index '{cc}/'" in str(error.value)
    assert open_pairs(f"{cc}/*2.tar").counts == (5,)
    assert open_pairs(f"{cc}/{{00002..00003}}.tar").counts == (5, 2)
    (indexed,) = index_shards(tars(str(cc)))
    assert indexed.shards == 3
    assert open_pairs(str(cc)).counts == (4, 5, 2)


def test_an_additional_shard_is_examined_and_told(cc, make_pairs):
    index_shards(tars(str(cc)))
    make_pairs("cc/00001b.tar", 2, 100)
    make_pairs("cc/00009.tar", 1, 200)
    pairs = open_pairs(str(cc))
    assert pairs.counts == (4, 3, 2, 5, 2, 1)
    assert pairs[7].fields["number"] == 100
    (note,) = pairs.notes
    assert "2 shards that it does not list (first '00001b.tar')" in note
    assert f"renew it with: sightword data index '{cc}/'" in note
    assert "\n" not in note
    assert open_pairs(f"{cc}/00009.tar").notes == ()  # nobody relied on the index
    index_shards(tars(f"{cc}/00009.tar"))  # what it says of other tars is kept
    assert "1 shards that it does not list" in open_pairs(str(cc)).notes[0]
    index_shards(tars(str(cc)))
    assert open_pairs(str(cc)).notes == ()
    assert all_of(open_pairs(str(cc))) == all_of(pairs)


def test_a_shard_of_another_size_is_examined_and_told(cc, make_pairs):
    index_shards(tars(str(cc)))
    make_pairs("cc/00002.tar", 9, 300)
    pairs = open_pairs(str(cc))
    assert pairs.counts == (4, 3, 9, 2)
    assert pairs[7].fields["number"] == 300
    assert "1 of another size" in pairs.notes[0]


def test_a_shard_of_the_same_size_is_recognised_when_it_is_read(cc, make_pairs):
    index_shards(tars(str(cc)))
    size = (cc / "00001.tar").stat().st_size
    make_pairs("cc/00001.tar", 3, 304, split="test")
    assert (cc / "00001.tar").stat().st_size == size
    pairs = open_pairs(str(cc))
    assert pairs[0].fields["number"] == 0
    with pytest.raises(
        SightwordError, match=r"00001\.tar' has changed since its data set was indexed"
    ) as error:
        pairs[4]
    assert "sightword data index" in str(error.value)
    index_shards(tars(str(cc)))
    assert open_pairs(str(cc))[4].fields["number"] == 304


def test_a_shard_that_changes_between_two_openings_is_recognised_without_an_index(cc, make_pairs):
    pairs = open_pairs(str(cc))
    make_pairs("cc/00001.tar", 3, 304, split="test")
    with pytest.raises(SightwordError, match="has changed since"):
        pairs[4]


def test_touched_shards_are_the_same_shards(cc):
    """Copied with new times: sizes and digests tell that nothing else is new."""
    before = all_of(open_pairs(str(cc)))
    index_shards(tars(str(cc)))
    for path in cc.glob("*.tar"):
        os.utime(path, (1, 1))
    assert all_of(open_pairs(str(cc))) == before
    assert open_pairs(str(cc)).notes == ()


def test_of_very_many_shards_some_are_looked_at(cc, make_pairs, monkeypatch):
    monkeypatch.setattr(shelves_room, "LOOKED_AT", 2)
    index_shards(tars(str(cc)))
    make_pairs("cc/00001.tar", 9, 300)  # in between: nobody looks
    pairs = open_pairs(str(cc))
    assert pairs.notes == ()
    with pytest.raises(SightwordError, match="has changed since"):
        pairs[4]
    make_pairs("cc/00003.tar", 9, 300)  # the last one is looked at
    assert "1 of another size" in open_pairs(str(cc)).notes[0]


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0 torn", b"hello" * 100])
def test_a_broken_index_is_told_and_not_used(cc, content):
    without = all_of(open_pairs(str(cc)))
    (cc / CORPUS).write_bytes(content)
    pairs = open_pairs(str(cc))
    assert all_of(pairs) == without
    (note,) = pairs.notes
    assert "cannot be used" in note
    assert "\n" not in note
    index_shards(tars(str(cc)))
    assert open_pairs(str(cc)).notes == ()


def test_an_index_moves_with_its_folder(cc, tmp_path, monkeypatch):
    index_shards(tars(str(cc)))
    shutil.copytree(cc, tmp_path / "moved", ignore=shutil.ignore_patterns("*.npz"))
    assert open_pairs(str(tmp_path / "moved")).data_hash == open_pairs(str(cc)).data_hash
    assert not list((tmp_path / "moved").glob("*.npz"))
    monkeypatch.chdir(tmp_path / "moved")
    assert open_pairs("00002.tar").counts == (5,)
    assert open_pairs(".").data_hash == open_pairs(str(cc)).data_hash
    assert not list((tmp_path / "moved").glob("*.npz"))


def test_where_nothing_can_lie_beside_the_shards_the_cache_serves(cc, cache):
    without = all_of(open_pairs(str(cc)))
    (cc / CORPUS).mkdir()  # a name that cannot be written, even by root
    (indexed,) = index_shards(tars(str(cc)))
    assert Path(indexed.place).is_relative_to(cache)
    (cc / CORPUS).rmdir()
    for sidecar in cc.glob("*.index.npz"):
        sidecar.unlink()
    pairs = open_pairs(str(cc))
    assert not list(cc.glob("*.index.npz"))
    assert all_of(pairs) == without


def test_written_again_it_is_the_same_file(cc):
    index_shards(tars(str(cc)))
    first = (cc / CORPUS).read_bytes()
    index_shards(tars(str(cc))[::-1])
    assert (cc / CORPUS).read_bytes() == first
    assert sorted(CorpusIndex.read(first).names) == CorpusIndex.read(first).names


# Pictures without captions.


@pytest.fixture
def half(make_tar) -> Path:
    """Two pairs, a picture alone, one with a blank caption, one alone of another split, one with bad json."""
    files = {
        "a.jpg": b"A", "a.txt": b"a dog", "a.json": b'{"split": "train"}',
        "b.jpg": b"B", "b.json": b'{"split": "train"}',
        "c.jpg": b"C", "c.txt": b" \n", "c.json": b'{"split": "train"}',
        "d.jpg": b"D", "d.txt": b"a cat", "d.json": b'{"split": "test"}',
        "e.jpg": b"E", "e.json": b'{"split": "test"}',
        "f.jpg": b"F", "f.json": b"[1]",
    }  # fmt: skip
    return make_tar("half/0.tar", files).parent


WANTED = Reading(captionless=True)


@pytest.mark.parametrize("indexed", [False, True])
def test_pictures_without_captions_come_where_they_are_wanted(half, indexed):
    if indexed:
        assert index_shards(tars(str(half)))[0].captionless == 3
    pairs = open_pairs(str(half))
    assert list(pairs.keys) == ["a", "d"]
    assert pairs.report == IndexReport(samples=2, without_caption=3, empty_captions=1)
    every = open_pairs(str(half), reading=WANTED)
    assert list(every.keys) == ["a", "b", "c", "d", "e"]
    assert every.counts == (5,)
    assert [every[i].image for i in range(5)] == [b"A", b"B", b"C", b"D", b"E"]
    assert [text.captions for text in every.texts()] == [("a dog",), (), (), ("a cat",), ()]
    assert every[1].fields == {"split": "train"}
    assert every.report == IndexReport(samples=5, bad_json=1)
    train = open_pairs(str(half), "train", WANTED)
    assert list(train.keys) == ["a", "b", "c"]
    assert len({pairs.data_hash, every.data_hash, train.data_hash}) == 3


def test_wanting_them_changes_nothing_where_there_are_none(cc):
    assert all_of(open_pairs(str(cc), "train", WANTED)) == all_of(open_pairs(str(cc), "train"))


def test_the_hash_of_pairs_knows_nothing_of_pictures_alone(make_tar):
    pair = {"a.jpg": b"A", "a.txt": b"a dog"}
    alone = make_tar("alone.tar", pair)
    both = make_tar("both.tar", {**pair, "b.jpg": b"B"})
    other = make_tar("other.tar", {**pair, "b.jpg": b"C"})
    assert open_pairs(str(alone)).data_hash == open_pairs(str(both)).data_hash
    hashes = {open_pairs(str(path), reading=WANTED).data_hash for path in (alone, both, other)}
    assert len(hashes) == 3
    assert open_pairs(str(alone), reading=WANTED).data_hash in hashes


def test_a_tar_of_pictures_alone_is_data_where_they_are_wanted(make_tar):
    path = str(make_tar("sight.tar", {"a.jpg": b"A", "b.png": b"B"}))
    with pytest.raises(SightwordError, match="holds no pair"):
        open_pairs(path)
    assert open_pairs(path, reading=WANTED).counts == (2,)
