from __future__ import annotations

import json
import pickle

import pytest
from tiny_pictures import picture, save
from torch.utils.data import DataLoader

from sightword.errors import SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sample import Sample, Text
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import IndexReport


@pytest.fixture
def folder(tmp_path):
    """Four pictures with captions, in three folders."""
    for number, name in enumerate(("a", "b.v2", "deep/er/c", "x/d")):
        save(tmp_path / "pics" / f"{name}.png", number)
        (tmp_path / "pics" / f"{name}.txt").write_text(f" caption {number}\n")
    return tmp_path / "pics"


_KEYS = ("a", "b_v2", "deep/er/c", "x/d")


def _expected(number: int, **fields) -> Sample:
    return Sample(_KEYS[number], (f"caption {number}",), fields, picture(number))


@pytest.mark.parametrize("workers", [0, 2])
def test_captions_beside_pictures(folder, workers):
    pairs = pickle.loads(pickle.dumps(open_pairs(str(folder))))
    loader = DataLoader(pairs, batch_size=3, num_workers=workers, collate_fn=list)
    assert [sample for batch in loader for sample in batch] == [_expected(i) for i in range(4)]
    assert pairs.report == IndexReport(samples=4)


def test_json_beside_pictures(folder):
    (folder / "a.json").write_text(json.dumps({"split": "s", "caption": "caption 0", "n": 1}))
    (folder / "b.v2.txt").unlink()
    (folder / "b.v2.json").write_text(json.dumps({"title": "caption 1", "split": "s"}))
    (folder / "x/d.json").write_text("[1]")
    pairs = open_pairs(str(folder))
    assert [pairs[i] for i in range(2)] == [_expected(0, split="s", n=1), _expected(1, split="s")]
    assert pairs.report == IndexReport(samples=3, bad_json=1)
    assert list(open_pairs(str(folder), "s").keys) == ["a", "b_v2"]
    (folder / "a.json").write_text(json.dumps({"captions": ["one", "caption 0", "two"]}))
    assert open_pairs(str(folder)).text(0) == Text("a", ("caption 0", "one", "two"), {})


def test_what_is_left_out_is_counted(folder):
    (folder / "alone.txt").write_text("no picture")
    save(folder / "a.jpg", 9)  # a.png comes later: the first of a key counts, by name
    save(folder / "mute.png", 5)
    (folder / "mute.txt").write_text(" \n")
    save(folder / "silent.png", 5)
    save(folder / ".hidden.png", 5)
    (folder / "notes.md").write_text("x")
    (folder / "x/loop").symlink_to(folder)
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    pairs = open_pairs(str(folder))
    assert list(pairs.keys) == list(_KEYS)
    assert pairs.report == IndexReport(
        samples=4, without_picture=1, without_caption=1, empty_captions=1, duplicates=1, ignored=2, links=2
    )
    alone = open_pairs(str(folder), reading=Reading(captionless=True))
    assert [text.key for text in alone.texts()] == ["a", "b_v2", "mute", "silent", "deep/er/c", "x/d"]
    assert alone.text(3) == Text("silent", (), {})


def test_a_folder_without_captions_says_what_to_do(tmp_path):
    for number in range(2):
        save(tmp_path / f"{number}.png", number)
    with pytest.raises(SightwordError, match=r"holds 2 pictures and no caption of any; put the caption of x"):
        open_pairs(str(tmp_path))
    assert len(open_pairs(str(tmp_path), reading=Reading(captionless=True))) == 2


def test_a_changed_caption_is_read_again(folder):
    before = open_pairs(str(folder))
    (folder / "x/d.txt").write_text("other words")
    after = open_pairs(str(folder))
    assert after.text(3).caption == "other words"
    assert after.data_hash != before.data_hash
    save(folder / "x/e.png", 6)
    (folder / "x/e.txt").write_text("new")
    assert len(open_pairs(str(folder))) == 5


def test_folders_of_splits(folder):
    folder.rename(folder.parent / "train")
    root = folder.parent / "all"
    root.mkdir()
    (folder.parent / "train").rename(root / "train")
    save(root / "val/v.png", 7)
    (root / "val/v.txt").write_text("held out")
    pairs = open_pairs(str(root))
    assert [pairs[i] for i in range(4)] == [_expected(i) for i in range(4)]
    assert "of the splits train, val, 'train' is read" in pairs.notes[0]
    assert [text.caption for text in open_pairs(str(root), "val").texts()] == ["held out"]
    with pytest.raises(SightwordError, match="unknown split"):
        open_pairs(str(root), "test")
    save(root / "extra/e.png", 8)  # now they are folders like any other
    (root / "extra/e.txt").write_text("extra")
    assert len(open_pairs(str(root))) == 6


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_one_table_for_all(tmp_path, kind):
    for number in range(3):
        save(tmp_path / f"in/{number}.png", number)
    rows = [{"file_name": f"in/{i}.png", "text": f"caption {i}"} for i in range(2)]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    text = "\n".join(lines if kind == "csv" else map(json.dumps, rows))
    (tmp_path / f"metadata.{kind}").write_text(text)
    pairs = open_pairs(str(tmp_path))
    assert [pairs[i] for i in range(2)] == [
        Sample(f"in/{i}", (f"caption {i}",), {}, picture(i)) for i in range(2)
    ]
    assert pairs.report == IndexReport(samples=2, without_caption=1)


def test_a_caption_that_is_not_utf8_refuses_the_folder(folder):
    (folder / "a.txt").write_bytes("é".encode("latin1"))
    with pytest.raises(SightwordError, match=r"a.txt is not UTF-8"):
        open_pairs(str(folder))


def test_the_hash_is_the_same_elsewhere(folder):
    before = open_pairs(str(folder)).data_hash
    assert open_pairs(str(folder.rename(folder.parent / "moved"))).data_hash == before


def test_a_folder_of_nothing_is_left_to_others(tmp_path):
    (tmp_path / "x.txt").write_text("a")
    with pytest.raises(SightwordError):
        open_pairs(str(tmp_path))
