from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import time
import zipfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from tiny_pictures import picture, save
from torch.utils.data import DataLoader

from sightword.errors import BadSample, SightwordError
from sightword.pairs.lists import listing
from sightword.pairs.lists.listed import ListedPairs, Stamp, open_listed
from sightword.pairs.lists.listing import Wanted
from sightword.pairs.lists.rows import InFile, Inline, InZip, Row
from sightword.pairs.sample import Sample, Text
from sightword.pairs.tars.contents import IndexReport


@pytest.fixture
def rows(tmp_path):
    """Twelve rows, their pictures by turns in files, in zips (stored and packed) and in the rows."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(12):
            packing = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            archive.writestr(f"in/{number}.png", picture(number), packing)
    found = []
    for number in range(12):
        places = (
            InFile(str(save(tmp_path / f"{number}.png", number))),
            InZip(str(tmp_path / "a.zip"), f"in/{number}.png"),
            Inline(picture(number)),
        )
        fields = {"number": number, "split": "train" if number % 4 else "test"}
        found.append(Row(f"key{number}", places[number % 3], (f"caption {number}", "other"), fields))
    return found


def _open(rows, tmp_path, *how, **wanted) -> ListedPairs:
    return open_listed(iter(rows), Stamp.of([tmp_path], *how, len(rows)), Wanted("the list", **wanted))


def _expected(number: int) -> Sample:
    fields = {"number": number, "split": "train" if number % 4 else "test"}
    return Sample(f"key{number}", (f"caption {number}", "other"), fields, picture(number))


def _read_all(pairs) -> bool:
    return all(pairs[i] == _expected(i) for i in (*range(12), *reversed(range(12))))


def test_rows_are_served_at_random(rows, tmp_path):
    pairs = _open(rows, tmp_path)
    assert len(pairs) == 12
    assert pairs.counts == (12,)
    assert _read_all(pairs)
    assert pairs[-1] == _expected(11)
    assert list(pairs.texts()) == [pairs.text(i) for i in range(12)]
    assert pairs.text(3) == Text("key3", ("caption 3", "other"), {"number": 3, "split": "train"})
    assert list(pairs.keys) == [f"key{i}" for i in range(12)]
    assert (pairs.keys[2], list(pairs.keys[3:5]), len(pairs.keys)) == ("key2", ["key3", "key4"], 12)
    assert pairs.report == IndexReport(samples=12)
    for outside in (12, -13):
        with pytest.raises(IndexError):
            pairs[outside]


def test_blocks_are_the_shards_of_an_order(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "BLOCK_ROWS", 5)
    pairs = _open(rows, tmp_path)
    assert pairs.counts == (5, 5, 2)
    assert _read_all(pairs)
    assert [text.key for text in pairs.texts()] == list(pairs.keys)


def test_large_rows_make_small_blocks(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "BLOCK_BYTES", 1)
    pairs = _open(rows, tmp_path)
    assert pairs.counts == (3, 3, 3, 3)  # a block ends after each picture that is held in a row
    assert _read_all(pairs)


def test_rows_are_asked_for_only_when_the_stamp_is_new(rows, tmp_path):
    first = _open(rows, tmp_path)

    def never():
        raise AssertionError("asked for")
        yield

    again = open_listed(never(), Stamp.of([tmp_path], 12), Wanted("the list"))
    assert _read_all(again)
    assert again.data_hash == first.data_hash
    time.sleep(0.01)
    os.utime(tmp_path)
    changed = _open(rows[:1] + rows[:11], tmp_path)  # the same number of rows: only the time tells
    assert changed.text(1).fields["number"] == 0
    assert changed.data_hash != first.data_hash


def test_a_damaged_list_is_made_again(rows, tmp_path):
    pairs = _open(rows, tmp_path)
    data = pairs.path.read_bytes()
    for damaged in (b"", b"nonsense", data[: len(data) // 2]):
        pairs.path.write_bytes(damaged)
        with pytest.raises(SightwordError, match="gone or damaged"):
            ListedPairs(pairs.path, "x")
        assert _read_all(_open(rows, tmp_path))


def test_forked_processes_read_what_one_reads(rows, tmp_path):
    pairs = _open(rows, tmp_path)
    assert _read_all(pairs)  # archives are open before the fork
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert all(pool.map(_read_all, [pairs] * 4))
    assert _read_all(pairs)


def test_a_data_loader_with_workers_reads_it(rows, tmp_path):
    loader = DataLoader(_open(rows, tmp_path), batch_size=5, num_workers=2, collate_fn=list)
    assert [sample for batch in loader for sample in batch] == [_expected(i) for i in range(12)]


def test_threads_read_it(rows, tmp_path):
    pairs = _open(rows, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(_read_all, [pairs] * 16))


def test_pickling_carries_a_name_only(rows, tmp_path):
    pairs = _open(rows, tmp_path)
    stored = pickle.dumps(pairs)
    assert len(stored) < 1000
    assert _read_all(pickle.loads(stored))
    os.utime(tmp_path, (1, 1))
    _open(rows[:1] + rows[:11], tmp_path)
    assert _read_all(pairs)  # what was mapped stays
    with pytest.raises(SightwordError, match="was changed while it was read"):
        pickle.loads(stored)


def test_keys_that_come_again_are_numbered(tmp_path):
    rows = [Row(key, Inline(b"x"), ("c",)) for key in ("a", "b.c", "a", "/a", "b_c", "a~1")]
    pairs = _open(rows, tmp_path)
    assert list(pairs.keys) == ["a", "b_c", "a~1", "a~2", "b_c~1", "a_1"]
    assert [pairs.text(i).key for i in range(6)] == list(pairs.keys)


def test_what_is_left_out_is_counted(tmp_path):
    rows = [
        Row("good", Inline(b"x"), (" said ", "")),
        Row("none", Inline(b"x"), ()),
        Row("blank", Inline(b"x"), (" ", "\n")),
        Row("zip", InZip(str(tmp_path / "gone.zip"), "a"), ("c",)),
    ]
    pairs = _open(rows, tmp_path, left_out=Counter(bad_rows=3))
    assert list(pairs.texts()) == [Text("good", ("said",), {})]
    assert pairs.report == IndexReport(
        samples=1, without_picture=1, without_caption=1, empty_captions=1, bad_rows=3
    )
    assert "gone.zip' cannot be read" in " ".join(pairs.notes)
    alone = _open(rows, tmp_path, captionless=True)
    assert [text.captions for text in alone.texts()] == [("said",), (), ()]


def test_a_split_keeps_its_rows(rows, tmp_path):
    pairs = _open(rows, tmp_path, split="test")
    assert [pairs[i] for i in range(3)] == [_expected(i) for i in (0, 4, 8)]
    assert pairs.report.samples == 12
    with pytest.raises(SightwordError, match="did you mean test"):
        _open(rows, tmp_path, split="tset")
    with pytest.raises(SightwordError, match="no row of 'the list' has a 'split'"):
        _open([Row("a", Inline(b"x"), ("c",))], tmp_path, split="test")
    with pytest.raises(SightwordError, match="holds no pair"):
        _open([], tmp_path)


def test_the_hash_knows_content_not_places(rows, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in tmp_path.glob("*.*"):
        (moved / file.name).write_bytes(file.read_bytes())
    there = json.loads(json.dumps([str(tmp_path), str(moved)]))

    def move(place):
        return type(place)(
            *(str(v).replace(*there) if isinstance(v, str) else v for v in vars(place).values())
        )

    def hash_of(rows, name):
        return _open(rows, tmp_path, name).data_hash

    base = hash_of(rows, "base")
    assert hash_of([Row(r.key, move(r.picture), r.captions, r.fields) for r in rows], "moved") == base
    assert hash_of([rows[1], rows[0], *rows[2:]], "order") != base
    assert hash_of([*rows[:11], Row("key11", rows[11].picture, ("else",), rows[11].fields)], "said") != base
    other = Row("key2", Inline(picture(9)), rows[2].captions, rows[2].fields)
    assert hash_of([*rows[:2], other, *rows[3:]], "inline") != base
    zipped = Row("key1", InZip(str(tmp_path / "a.zip"), "in/2.png"), rows[1].captions, rows[1].fields)
    assert hash_of([rows[0], zipped, *rows[2:]], "zip") != base
    save(tmp_path / "0.png", 7)
    assert hash_of(rows, "base") != base


def test_what_cannot_be_read_is_a_bad_sample(rows, tmp_path):
    pairs = _open(rows, tmp_path)
    (tmp_path / "0.png").unlink()
    with pytest.raises(BadSample, match=r"key0: .*0.png' cannot be read: No such file"):
        pairs[0]
    good = (tmp_path / "a.zip").read_bytes()
    start = good.index(picture(4))
    (tmp_path / "a.zip").write_bytes(good[: start + 20] + b"????" + good[start + 24 :])
    with pytest.raises(BadSample, match="checksum"):
        pairs[4]
    assert pairs[1] == _expected(1)
    (tmp_path / "a.zip").write_bytes(good[: start + 10])
    with pytest.raises(BadSample, match="shorter than it was"):
        pickle.loads(pickle.dumps(pairs))[4]
    (tmp_path / "a.zip").unlink()
    with pytest.raises(BadSample, match="No such file"):
        pickle.loads(pickle.dumps(pairs))[4]


def test_odd_texts_and_names_survive(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    with open(name, "wb") as file:
        file.write(picture(1))
    pairs = _open([Row(name, InFile(name), ("half \ud83d é",), {"odd": "\udcff", "when": time})], tmp_path)
    assert pairs[0].image == picture(1)
    assert pairs[0].captions == ("half ? é",)
    assert pairs[0].fields["odd"] == "?"


def test_a_cache_that_cannot_be_written_is_named(rows, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "file"))
    with pytest.raises(SightwordError, match="set SIGHTWORD_CACHE"):
        _open(rows, tmp_path)
