"""Small files of publishers that are damaged: one line that names the file, whoever reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.evaluation.cards import card_of
from sightword.evaluation.layouts.filelists import FileLists
from sightword.evaluation.layouts.kitti import bin_of
from sightword.evaluation.layouts.listed import object_of, rows_of
from sightword.evaluation.layouts.question_files import listed

GTSRB = card_of("gtsrb")


def test_rows_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes('\ufeffname;of\n\u00fc;1\n"a;b";2;extra\nshort\n'.encode())
    assert rows_of(GTSRB, table, ";") == [
        {"name": "\u00fc", "of": "1"}, {"name": "a;b", "of": "2"}, {"name": "short", "of": ""},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "says"), [(b"name,of\n\xff\xfe,1\n", "is no table"), (b'a,b\n"' + b"x" * 200_000, "is no table")]
)
def test_a_table_that_is_none(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(SightwordError, match=rf"a\.csv' {says}"):
        rows_of(GTSRB, tmp_path / "a.csv")
    with pytest.raises(SightwordError, match=r"none\.csv' is missing"):
        rows_of(GTSRB, tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', '{"a": null}', '"a"'])
def test_an_object_of_other_values(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": "b"}')
    assert object_of(GTSRB, path, str) == {"a": "b"}
    path.write_text(text)
    with pytest.raises(SightwordError, match=r"a\.json' holds no JSON object of str"):
        object_of(GTSRB, path, str)


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x08\x00{'descr'"])
def test_an_array_that_is_cut_short(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "test_images.npy").write_bytes(data)
    with pytest.raises(SightwordError, match=r"test_images\.npy' is no plain array"):
        FileLists().open(tmp_path, card_of("sun397"))


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"Car 0 0 \xff" + b" 1" * 12, "not UTF-8"), (b"Car" + b" x" * 15, "'x' where a distance belongs")],
)
def test_a_label_of_kitti_that_is_damaged(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "0.txt").write_bytes(data)
    with pytest.raises(SightwordError, match=says):
        bin_of(card_of("kitti_distance"), tmp_path / "0.txt")


def test_questions_that_are_no_objects() -> None:
    with pytest.raises(SightwordError, match=r"a\.json' has no list of questions"):
        listed(Path("a.json"), {"questions": [{}, 1]}, "questions")
