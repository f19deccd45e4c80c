from __future__ import annotations

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib.resources import files

import pytest
from torch.utils.data import DataLoader

from sightword.errors import SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.sample import Sample, Text
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars import shards as shards_room
from sightword.pairs.tars.places import expand


def _is_sample(sample: Sample, number: int) -> bool:
    return sample == Sample(
        f"{number:06d}",
        (f"caption {number}",),
        {"number": number},
        f"picture {number} ".encode() * (number % 50 + 1),
    )


@pytest.fixture
def shards(make_pairs, tmp_path):
    """Three shards of 4, 3 and 5 pairs."""
    for shard, (first, count) in enumerate([(0, 4), (4, 3), (7, 5)]):
        make_pairs(f"cc/{shard:05d}.tar", count, first)
    return tmp_path / "cc"


@pytest.mark.parametrize("pattern", ["{s}", "{s}/*.tar", "{s}/{{00000..00002}}.tar", "{s}/0000{{0,1,2}}.tar"])
def test_shards_are_one_data_set(shards, pattern):
    pairs = open_pairs(pattern.format(s=shards))
    assert pairs.counts == (4, 3, 5)
    assert len(pairs) == 12
    assert all(_is_sample(pairs[i], i) for i in range(12))
    assert _is_sample(pairs[-1], 11)
    assert list(pairs.keys) == [f"{i:06d}" for i in range(12)]
    assert list(pairs.texts()) == [Text(f"{i:06d}", (f"caption {i}",), {"number": i}) for i in range(12)]
    assert pairs.text(5) == Text("000005", ("caption 5",), {"number": 5})
    for outside in (12, -13):
        with pytest.raises(IndexError):
            pairs[outside]


def test_sources_are_joined(shards):
    pairs = open_pairs(f"{shards}/00002.tar::{shards}/00000.tar")
    assert pairs.counts == (5, 4)
    assert _is_sample(pairs[0], 7)
    assert _is_sample(pairs[5], 0)


def test_the_hash_knows_content_not_places(shards, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(shards, moved)
    pairs = open_pairs(str(shards))
    assert open_pairs(str(moved)).data_hash == pairs.data_hash
    assert open_pairs(f"{shards}/0000{{0,1}}.tar").data_hash != pairs.data_hash
    assert open_pairs(f"{shards}/0000{{1,0,2}}.tar").data_hash != pairs.data_hash


def test_a_split_keeps_its_samples(make_pairs, tmp_path):
    make_pairs("d/0.tar", 3, 0, split="train")
    make_pairs("d/1.tar", 2, 3, split="test")
    make_pairs("d/2.tar", 2, 5, split="train")
    pairs = open_pairs(str(tmp_path / "d"), "train")
    assert pairs.counts == (3, 0, 2)
    assert [pairs[i].fields["number"] for i in range(5)] == [0, 1, 2, 5, 6]
    assert list(pairs.keys) == [text.key for text in pairs.texts()]
    assert pairs.report.samples == 7
    assert pairs.data_hash != open_pairs(str(tmp_path / "d")).data_hash


def _read_all(pairs: Pairs) -> bool:
    return all(_is_sample(pairs[i], i) for i in (*range(12), *reversed(range(12))))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_what_one_reads(shards, method):
    pairs = open_pairs(str(shards))
    assert _read_all(pairs)  # handles are open before the fork
    with ProcessPoolExecutor(1 if method == "spawn" else 2, multiprocessing.get_context(method)) as pool:
        assert all(pool.map(_read_all, [pairs] * 4))
    assert _read_all(pairs)


def test_a_data_loader_with_workers_reads_it(shards):
    pairs = open_pairs(str(shards))
    loader = DataLoader(pairs, batch_size=5, num_workers=2, collate_fn=list)
    assert [sample.fields["number"] for batch in loader for sample in batch] == list(range(12))


def test_threads_read_while_shards_are_closed_and_opened(shards, monkeypatch):
    monkeypatch.setattr(shards_room, "OPEN", 1)
    pairs = open_pairs(str(shards))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(_read_all, [pairs] * 16))


def test_pickling_carries_no_open_file(shards):
    pairs = open_pairs(str(shards))
    assert _read_all(pairs)
    stored = pickle.dumps(pairs)
    assert len(stored) < 2000
    assert _read_all(pickle.loads(stored))


@pytest.mark.parametrize(
    ("pattern", "expanded"),
    [
        ("a.tar", ["a.tar"]),
        ("{08..11}.tar", ["08.tar", "09.tar", "10.tar", "11.tar"]),
        ("{a,b}/{1..2}.tar", ["a/1.tar", "a/2.tar", "b/1.tar", "b/2.tar"]),
    ],
)
def test_braces(pattern, expanded):
    assert list(expand(pattern)) == expanded


@pytest.mark.parametrize("pattern", ["{5..3}.tar", "{0..99999999}.tar"])
def test_a_senseless_range_is_refused(pattern):
    with pytest.raises(SightwordError, match="must count up"):
        list(expand(pattern))


def _refused(path: str, split: str = "") -> str:
    with pytest.raises(SightwordError) as error:
        open_pairs(path, split)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_path_suggests_near_names(shards):
    assert f"did you mean {shards}/00001.tar" in _refused(f"{shards}/0001.tar")
    assert f"did you mean {shards}?" in _refused(f"{shards.parent}/ccc")
    assert f"did you mean {shards}?" in _refused(f"{shards.parent}/cx/00000.tar")
    assert "holds 00000.tar, 00001.tar, 00002.tar" in _refused(f"{shards}/something-else")


def test_nothing_is_not_the_folder_that_one_stands_in(shards, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.chdir(tmp_path)
    assert "empty part" in _refused(f"{shards}::")
    assert "empty part" in _refused("")


@pytest.mark.parametrize("few", [0, 100])
def test_missing_shards_are_counted(shards, monkeypatch, few):
    """Asked for one by one, and, where they are many, by listing their folder."""
    monkeypatch.setattr("sightword.pairs.tars.places._FEW", few)
    assert len(open_pairs(f"{shards}/{{00000..00002}}.tar")) == 12
    message = _refused(f"{shards}/{{00000..00006}}.tar")
    assert "4 of the 7 shards" in message
    assert f"first '{shards}/00003.tar'" in message
    assert "no file matches" in _refused(f"{shards}/x*.tar")


def test_what_cannot_be_read_is_refused(shards, tmp_path):
    (tmp_path / "none").mkdir()
    assert "holds no .tar" in _refused(str(tmp_path / "none"))
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b")
    assert "gunzip -k" in _refused(str(tmp_path / "a.tar.gz"))
    cut = tmp_path / "cut.tar"
    cut.write_bytes((shards / "00000.tar").read_bytes()[:2000])
    assert "cut short: it ends at byte 2,000" in _refused(str(cut))


def test_an_empty_data_set_is_refused(make_tar, make_pairs):
    assert "holds no pair;" in _refused(str(make_tar("empty.tar", {})))
    assert "(2 without caption)" in _refused(str(make_tar("images.tar", {"a.jpg": b"i", "b.jpg": b"j"})))
    plain = str(make_pairs("plain.tar", 2))
    assert "no sample of" in _refused(plain, "train")
    split = str(make_pairs("split.tar", 2, split="train"))
    assert "unknown split" in _refused(split, "trian")
    assert "did you mean train?" in _refused(split, "trian")


def test_the_demo_is_as_described(cache):
    pairs = open_pairs("demo")
    assert len(pairs) == 9367
    assert pairs.report.left_out() == ""
    sizes = {split: len(open_pairs("demo", split)) for split in ("train", "test_artist", "test_concept")}
    assert sizes == {"train": 6752, "test_artist": 1670, "test_concept": 945}
    sample = open_pairs("demo", "test_artist")[0]
    assert sample.image[8:12] == b"WEBP"
    assert sample.fields["vendor"] == "fluent3d"
    assert sample.fields["split"] == "test_artist"
    assert len(set(pairs.keys)) == 9367
    packed = files("sightword") / "data" / "demo_emoji_64.tar.gz"
    assert open_pairs(str(packed)).data_hash == pairs.data_hash


def test_no_concept_of_the_demo_straddles_the_split():
    splits = ("train", "test_concept")
    names = {split: {text.caption for text in open_pairs("demo", split).texts()} for split in splits}
    assert len(names["test_concept"]) > 150
    assert not names["train"] & names["test_concept"]


def test_a_damaged_unpacked_demo_is_unpacked_again(cache):
    before = open_pairs("demo", "train").data_hash
    (unpacked,) = cache.glob("demo_emoji_64-*.tar")
    data = unpacked.read_bytes()
    unpacked.write_bytes(data[: len(data) // 2])
    assert open_pairs("demo", "train").data_hash == before
    assert unpacked.read_bytes() == data


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "file"))
    assert "set SIGHTWORD_CACHE" in _refused("demo")


def test_a_folder_called_demo_is_not_the_demo(cache, tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "table.parquet").write_bytes(b"no pairs")
    monkeypatch.chdir(tmp_path)
    assert len(open_pairs("demo", "test_artist")) == 1670
