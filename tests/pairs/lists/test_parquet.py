from __future__ import annotations

import json
import pickle
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_pictures import picture, save
from torch.utils.data import DataLoader

from sightword.errors import BadSample, SightwordError
from sightword.pairs.lists import parquet, pictures
from sightword.pairs.reading import Reading
from sightword.pairs.sample import Sample, Text
from sightword.pairs.sources import open_pairs
from sightword.pairs.tars.contents import IndexReport

_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _write(path, columns: dict, rows_each: int = 3, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns) if isinstance(columns, dict) else columns
    pq.write_table(table, path, row_group_size=rows_each, **options)
    return str(path)


def _embedded(first: int, count: int, path=lambda i: f"d/p{i}.v1.png") -> pa.Array:
    return pa.array([{"bytes": picture(i), "path": path(i)} for i in range(first, first + count)], _STRUCT)


def _captions(count: int, first: int = 0) -> list[str]:
    return [f"caption {i}" for i in range(first, first + count)]


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_paths(tmp_path, text):
    for number in range(7):
        save(tmp_path / f"{number}.png", number)
    names = pa.array([f"{i}.png" for i in range(7)]).cast(text)
    path = _write(tmp_path / "x.parquet", {"filepath": names, "title": pa.array(_captions(7)).cast(text)})
    pairs = open_pairs(path)
    assert pairs.counts == (7,)
    assert [pairs[i] for i in range(7)] == [
        Sample(str(i), (f"caption {i}",), {}, picture(i)) for i in range(7)
    ]


@pytest.mark.parametrize("statistics", [True, False])
def test_hugging_faces_pictures(tmp_path, statistics):
    numbers = list(range(8))
    columns = {"n": numbers, "image": _embedded(0, 8), "text": _captions(8), "vector": [[0.5]] * 8}
    path = _write(tmp_path / "x.parquet", columns, write_statistics=statistics)
    pairs = pickle.loads(pickle.dumps(open_pairs(path)))
    expected = [Sample(f"d/p{i}_v1", (f"caption {i}",), {"n": i}, picture(i)) for i in numbers]
    assert [pairs[i] for i in numbers] == expected
    assert pairs.report == IndexReport(samples=8)
    loader = DataLoader(pairs, batch_size=3, num_workers=2, collate_fn=list)
    assert [sample for batch in loader for sample in batch] == expected


def test_plain_bytes_and_lists_of_captions(tmp_path):
    captions = pa.array([["a", "b"], [], None, ["c", None]], pa.list_(pa.string()))
    columns = {"jpg": pa.array([picture(i) for i in range(4)], pa.large_binary()), "captions": captions}
    pairs = open_pairs(_write(tmp_path / "x.parquet", columns))
    assert [t.captions for t in pairs.texts()] == [("a", "b"), ("c",)]
    assert [pairs[i].image for i in range(2)] == [picture(0), picture(3)]
    assert list(pairs.keys) == ["x/0-0", "x/1-0"]
    assert pairs.report == IndexReport(samples=2, without_caption=2)


@pytest.mark.parametrize("statistics", [True, False])
def test_bytes_where_they_are_and_paths_where_not(tmp_path, statistics):
    save(tmp_path / "b.png", 1)
    values = [
        {"bytes": picture(0), "path": None},
        {"bytes": None, "path": "b.png"},
        {"bytes": None, "path": None},
        None,
    ]
    columns = {"image": pa.array(values, _STRUCT), "text": _captions(4)}
    pairs = open_pairs(_write(tmp_path / "x.parquet", columns, write_statistics=statistics))
    assert [pairs[i].image for i in range(len(pairs))] == [picture(0), picture(1)]
    assert pairs.report == IndexReport(samples=2, without_picture=2)
    path_only = {"image": pa.array(values[1:2] * 2, _STRUCT), "text": _captions(2)}
    pairs = open_pairs(_write(tmp_path / "y.parquet", path_only, write_statistics=statistics))
    assert [pairs[i].image for i in range(2)] == [picture(1)] * 2


def test_row_groups_are_kept_whole_and_read_once(tmp_path, monkeypatch):
    path = _write(tmp_path / "x.parquet", {"image": _embedded(0, 12), "text": _captions(12)}, 4)
    monkeypatch.setattr("sightword.pairs.lists.listing.BLOCK_ROWS", 2)
    pairs = open_pairs(path)
    assert pairs.counts == (4, 4, 4)
    read = []
    column = pictures.ParquetTable.column

    def noted(table, group, name):
        read.append(group)
        return column(table, group, name)

    monkeypatch.setattr(pictures.ParquetTable, "column", noted)
    list(pairs.texts())
    assert read == []  # captions are read without pictures
    assert [pairs[i].image for i in (9, 8, 1, 11, 3, 0)] == [picture(i) for i in (9, 8, 1, 11, 3, 0)]
    assert read == [2, 0]


def test_little_row_groups_share_a_block(tmp_path):
    path = _write(tmp_path / "x.parquet", {"image": _embedded(0, 12), "text": _captions(12)}, 4)
    assert open_pairs(path).counts == (12,)


def test_large_row_groups_are_told(tmp_path, monkeypatch):
    path = _write(tmp_path / "x.parquet", {"image": _embedded(0, 12), "text": _captions(12)}, 4)
    monkeypatch.setattr(parquet, "BLOCK_BYTES", 100)
    assert "sightword data pack" in " ".join(open_pairs(path).notes)


def test_a_folder_of_splits(tmp_path):
    for split, first, count in (("train", 0, 3), ("train", 3, 2), ("test", 5, 2)):
        _write(
            tmp_path / "hub/data" / f"{split}-0000{first}-of-00002.parquet",
            {"image": _embedded(first, count), "text": _captions(count, first)},
        )
    hub = f"{tmp_path}/hub"
    assert [t.caption for t in open_pairs(hub).texts()] == _captions(5)
    assert "'train' is read (--split names another)" in open_pairs(hub).notes[0]
    assert [t.caption for t in open_pairs(hub, "test").texts()] == _captions(2, 5)
    assert [t.caption for t in open_pairs(f"{hub}/data/test-*.parquet").texts()] == _captions(2, 5)
    with pytest.raises(SightwordError, match="did you mean test"):
        open_pairs(hub, "tset")


def test_a_column_of_splits(tmp_path):
    columns = {"image": _embedded(0, 4), "text": _captions(4), "split": ["a", "b", "a", "b"]}
    path = _write(tmp_path / "x.parquet", columns)
    assert [t.caption for t in open_pairs(path, "b").texts()] == ["caption 1", "caption 3"]
    with pytest.raises(SightwordError, match="unknown split"):
        open_pairs(path, "c")


def test_classes_are_captions_by_name(tmp_path):
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": _embedded(0, 3), "label": [1, 0, 1]}).replace_schema_metadata(metadata)
    path = _write(tmp_path / "x.parquet", table)
    pairs = open_pairs(path, reading=Reading(caption_key="label"))
    assert list(pairs.texts())[1] == Text("d/p1_v1", ("cat",), {})


def test_the_hash_is_the_same_elsewhere(tmp_path):
    path = _write(tmp_path / "a/x.parquet", {"image": _embedded(0, 4), "text": _captions(4)})
    (tmp_path / "b").mkdir()
    moved = shutil.copy(path, tmp_path / "b/y.parquet")
    assert open_pairs(str(moved)).data_hash == open_pairs(path).data_hash
    other = _write(
        tmp_path / "c.parquet",
        {"image": _embedded(1, 4, lambda i: f"d/p{i - 1}.v1.png"), "text": _captions(4)},
    )
    assert open_pairs(other).data_hash != open_pairs(path).data_hash


def test_what_cannot_be_read_is_refused(tmp_path):
    good = _write(tmp_path / "x.parquet", {"image": _embedded(0, 4), "text": _captions(4)})
    data = (tmp_path / "x.parquet").read_bytes()
    for bad in (b"", b"PAR1", data[:-20], b"nonsense" * 9):
        (tmp_path / "bad.parquet").write_bytes(bad)
        with pytest.raises(SightwordError, match="no whole Parquet file") as error:
            open_pairs(str(tmp_path / "bad.parquet"))
        assert "\n" not in str(error.value)
    odd = _write(tmp_path / "odd.parquet", {"image": [1, 2], "text": _captions(2)})
    with pytest.raises(SightwordError, match=r"column 'image' of .* is int64"):
        open_pairs(odd)
    web = _write(tmp_path / "web.parquet", {"url": ["http://x"], "caption": ["a"]})
    with pytest.raises(SightwordError, match="img2dataset"):
        open_pairs(web)
    pairs = open_pairs(good)
    (tmp_path / "x.parquet").unlink()
    with pytest.raises(BadSample, match="cannot be read"):
        pairs[0]


def test_the_tables_beside_shards_are_not_data(tmp_path, make_pairs):
    make_pairs("cc/00000.tar", 2)
    _write(tmp_path / "cc/00000.parquet", {"url": ["http://x"], "caption": ["a"]})
    assert len(open_pairs(f"{tmp_path}/cc")) == 2
