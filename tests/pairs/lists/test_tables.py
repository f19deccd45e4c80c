from __future__ import annotations

import json
import os
import pickle

import pytest
from tiny_pictures import picture, save
from torch.utils.data import DataLoader

from sightword.errors import BadSample, SightwordError
from sightword.pairs.reading import Reading
from sightword.pairs.sample import Sample, Text
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import IndexReport


@pytest.fixture
def pictures(tmp_path):
    """Eight pictures in tmp/images."""
    for number in range(8):
        save(tmp_path / "images" / f"{number}.v1.png", number)
    return tmp_path


def _sample(number: int, **fields) -> Sample:
    return Sample(f"images/{number}_v1", (f"a thing, {number}",), fields, picture(number))


def _rows(kind: str, image="filepath", caption="title") -> str:
    rows = [{image: f"images/{i}.v1.png", caption: f"a thing, {i}", "split": "ab"[i % 2]} for i in range(8)]
    if kind in ("csv", "tsv", "semicolons"):
        mark = {"csv": ",", "tsv": "\t", "semicolons": ";"}[kind]
        lines = [[image, caption, "split"], *([r[image], f'"{r[caption]}"', r["split"]] for r in rows)]
        return "".join(mark.join(line) + "\n" for line in lines)
    lines = [json.dumps(row) for row in rows]
    return f"[{', '.join(lines)}]" if kind == "array" else "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.csv", "csv"),
        ("x.csv", "tsv"),
        ("x.csv", "semicolons"),
        ("x.tsv", "tsv"),
        ("x.jsonl", "lines"),
        ("x.json", "array"),
        ("x.json", "lines"),
    ],
)
def test_every_kind_of_table_says_the_same(pictures, name, kind):
    (pictures / name).write_text(_rows(kind))
    pairs = open_pairs(str(pictures / name))
    assert [pairs[i] for i in range(8)] == [_sample(i, split="ab"[i % 2]) for i in range(8)]
    assert pairs.report == IndexReport(samples=8)
    assert pairs.notes == ()
    half = open_pairs(str(pictures / name), "b")
    assert [half[i].captions for i in range(4)] == [(f"a thing, {i}",) for i in (1, 3, 5, 7)]
    with pytest.raises(SightwordError, match=r"unknown split in '.*': 'c'"):
        open_pairs(str(pictures / name), "c")


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_read_what_one_process_reads(pictures, workers):
    (pictures / "x.csv").write_text(_rows("csv"))
    pairs = pickle.loads(pickle.dumps(open_pairs(str(pictures / "x.csv"))))
    loader = DataLoader(pairs, batch_size=3, num_workers=workers, collate_fn=list)
    assert [sample for batch in loader for sample in batch] == [
        _sample(i, split="ab"[i % 2]) for i in range(8)
    ]


def test_other_columns_are_found_or_named(pictures):
    (pictures / "x.csv").write_text(_rows("csv", "image_path", "caption"))
    pairs = open_pairs(str(pictures / "x.csv"))
    assert pairs[2] == _sample(2, split="a")
    assert len(pairs.notes) == 2
    (pictures / "y.csv").write_text(_rows("csv", "foo", "bar"))
    assert open_pairs(str(pictures / "y.csv"), reading=Reading("foo", "bar"))[2] == _sample(2, split="a")
    with pytest.raises(SightwordError, match="its columns: 'foo', 'bar', 'split'"):
        open_pairs(str(pictures / "y.csv"))


def test_a_pattern_and_joined_tables(pictures):
    header, *lines = _rows("csv").splitlines(keepends=True)
    (pictures / "part0.csv").write_text(header + "".join(lines[:3]))
    (pictures / "part1.csv").write_text(header + "".join(lines[3:]))
    whole = [_sample(i, split="ab"[i % 2]) for i in range(8)]
    for path in ("part*.csv", "part{0..1}.csv", f"part0.csv::{pictures}/part1.csv"):
        pairs = open_pairs(f"{pictures}/{path}")
        assert [pairs[i] for i in range(8)] == whole
    with pytest.raises(SightwordError, match=r"1 of the 3 files .* first '.*part2.csv'"):
        open_pairs(f"{pictures}/part{{0..2}}.csv")
    with pytest.raises(SightwordError, match="no file matches"):
        open_pairs(f"{pictures}/q*.csv")
    with pytest.raises(SightwordError, match=r"did you mean .*part0.csv"):
        open_pairs(f"{pictures}/pat0.csv")


def test_bad_lines_are_counted_and_told(pictures):
    text = "filepath,title\nimages/0.v1.png,good\nalone\nimages/1.v1.png,\n,lost\nimages/2.v1.png, \n"
    (pictures / "x.csv").write_text(text + "http://a.b/c.png,web\nimages/3.v1.png,last\n")
    pairs = open_pairs(str(pictures / "x.csv"))
    assert [text.caption for text in pairs.texts()] == ["good", "last"]
    assert pairs.report == IndexReport(
        samples=2, without_picture=2, without_caption=1, empty_captions=1, bad_rows=1
    )
    assert pairs.notes == (
        f"'{pictures}/x.csv': 1 bad lines in 'x.csv': line 3 has 1 columns where the header has 2",
    )
    lines = ['{"filepath": "images/0.v1.png", "title": ["one", "two"], "tags": ["t"]}', "{", "", "[1]", "7"]
    (pictures / "x.jsonl").write_text("\n".join(lines))
    pairs = open_pairs(str(pictures / "x.jsonl"))
    assert list(pairs.texts()) == [Text("images/0_v1", ("one", "two"), {"tags": ["t"]})]
    assert pairs.report == IndexReport(samples=1, bad_rows=3)
    assert "line 2 is not JSON; line 4 is not a JSON object; line 5" in pairs.notes[0]


def test_a_picture_named_again_is_another_sample(pictures):
    (pictures / "x.csv").write_text("filepath,title\n" + "".join(f"images/0.v1.png,{i}\n" for i in "abc"))
    pairs = open_pairs(str(pictures / "x.csv"))
    assert [(t.key, t.caption) for t in pairs.texts()] == [
        ("images/0_v1", "a"),
        ("images/0_v1~1", "b"),
        ("images/0_v1~2", "c"),
    ]


def test_a_column_of_keys(pictures):
    (pictures / "x.csv").write_text("id,filepath,title\n7,images/0.v1.png,a\n,images/1.v1.png,b\n")
    assert list(open_pairs(str(pictures / "x.csv")).keys) == ["7", "images/1_v1"]


def test_title_and_description_reach_the_policy(pictures):
    (pictures / "x.csv").write_text("filepath,title,description\nimages/0.v1.png,t,\nimages/1.v1.png,,d\n")
    pairs = open_pairs(str(pictures / "x.csv"), reading=Reading(caption_key="title,description"))
    assert [(t.captions, t.fields) for t in pairs.texts()] == [
        (("t",), {"title": "t", "description": ""}),
        (("d",), {"title": "", "description": "d"}),
    ]


def test_where_pictures_start(pictures, tmp_path, monkeypatch):
    (pictures / "lists").mkdir()
    table = pictures / "lists" / "x.csv"
    table.write_text(_rows("csv"))
    with pytest.raises(SightwordError) as error:
        open_pairs(str(table))
    assert (
        f"none of the first 8 pictures of '{table}' is there, first '{table.parent}/images/0.v1.png'"
        in str(error.value)
    )
    assert "--image-root" in str(error.value)
    assert open_pairs(str(table), reading=Reading(image_root=str(pictures)))[3] == _sample(3, split="b")
    monkeypatch.chdir(pictures)
    assert open_pairs("lists/x.csv", reading=Reading(image_root="."))[3] == _sample(3, split="b")
    table.write_text(_rows("csv").replace("images/", f"{pictures}/images/"))
    there = open_pairs("lists/x.csv")
    assert there[3].image == picture(3)
    rooted = open_pairs("lists/x.csv", reading=Reading(image_root=str(pictures)))
    assert rooted[3] == _sample(3, split="b")


def test_one_missing_picture_is_a_bad_sample(pictures):
    (pictures / "x.csv").write_text(_rows("csv"))
    (pictures / "images/3.v1.png").unlink()
    pairs = open_pairs(str(pictures / "x.csv"))
    with pytest.raises(BadSample, match=r"images/3_v1: .*No such file"):
        pairs[3]
    assert pairs[4] == _sample(4, split="a")


def test_a_changed_table_is_read_again(pictures):
    file = pictures / "x.csv"
    file.write_text("filepath,title\nimages/0.v1.png,aaa\n")
    assert open_pairs(str(file))[0].caption == "aaa"
    file.write_text("filepath,title\nimages/0.v1.png,bbb\n")
    os.utime(file, ns=(1, 1))
    assert open_pairs(str(file))[0].caption == "bbb"


def test_the_hash_is_the_same_elsewhere(pictures, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for number in range(8):
        save(elsewhere / "images" / f"{number}.v1.png", number)
    for folder in (pictures, elsewhere):
        (folder / "x.csv").write_text(_rows("csv"))
    assert open_pairs(f"{pictures}/x.csv").data_hash == open_pairs(f"{elsewhere}/x.csv").data_hash


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "url,caption\nhttp://x/y.jpg,a\n", "img2dataset"),
        ("x.csv", "filepath,title\nhttps://x/y.jpg,a\n", "img2dataset"),
        ("x.csv", "", "no column 'filepath'"),
        ("x.csv", "filepath,title\n", "holds no pair"),
        ("x.csv", "filepath,title\na\n", r"holds no pair \(1 bad rows\)"),
        ("x.json", '{\n "a": 1\n}', "one JSON object"),
        ("x.json", '[{"filepath": ', "is not JSON"),
        ("x.jsonl", "nonsense", "no column 'filepath'"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(SightwordError, match=said) as error:
        open_pairs(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_large_array_is_refused(pictures, monkeypatch):
    monkeypatch.setattr("sightword.pairs.lists.tables._WHOLE", 10)
    (pictures / "x.json").write_text(_rows("array"))
    with pytest.raises(SightwordError, match="jq -c"):
        open_pairs(str(pictures / "x.json"))


def test_pictures_alone(pictures):
    (pictures / "x.csv").write_text("filepath\nimages/0.v1.png\nimages/1.v1.png\n")
    pairs = open_pairs(str(pictures / "x.csv"), reading=Reading(captionless=True))
    assert [pairs[i] for i in range(2)] == [Sample(f"images/{i}_v1", (), {}, picture(i)) for i in range(2)]
