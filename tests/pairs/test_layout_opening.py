from __future__ import annotations

import os
import pickle
from typing import Any

import pytest
from corpora_on_disk import coco, picture, put, put_npy, redcaps_by_annotations, yfcc_by_list, zipped

from sightword.errors import BadSample, SightwordError
from sightword.pairs.sources import open_pairs

MAKERS = {
    "yfcc15m": yfcc_by_list,
    "redcaps": redcaps_by_annotations,
    "coco": lambda folder: coco(folder, "2017"),
}


COMES_LATER = {"redcaps": "images/abandoned/gone.jpg", "coco": "train2017/000000000025.jpg"}


@pytest.mark.parametrize("layout", MAKERS)
def test_a_list_is_made_once_and_anew_when_pictures_come(tmp_path, layout, monkeypatch):
    here, moved = tmp_path / "here", tmp_path / "moved"
    here.mkdir()
    MAKERS[layout](here)
    first = open_pairs(f"{layout}:{here}")
    before = first.data_hash
    here.rename(moved)
    assert open_pairs(f"{layout}:{moved}").data_hash == before
    with monkeypatch.context() as patch:
        patch.setattr("sightword.pairs.lists.listed.write_list", lambda *_: pytest.fail("listed twice"))
        assert len(open_pairs(f"{layout}:{moved}")) == len(first)
    if layout == "yfcc15m":
        zipped(moved, [12345679])
    else:
        put(moved / COMES_LATER[layout], picture(1))
    for folder, _, _ in os.walk(moved):
        os.utime(folder)  # an archive that is added to in place changes no folder's time
    assert len(open_pairs(f"{layout}:{moved}")) == len(first) + 1


def test_a_picture_that_goes_later_is_one_bad_sample(tmp_path):
    coco(tmp_path, "2017")
    pairs = open_pairs(f"coco:{tmp_path}", "train")
    (tmp_path / "train2017/000000000009.jpg").unlink()
    with pytest.raises(BadSample, match="cannot be read"):
        pairs[0]


@pytest.mark.parametrize(
    ("layout", "looked_for"),
    [
        (
            "yfcc15m",
            "images/00/000.zip, and yfcc15m.pkl or yfcc100m_dataset.txt with yfcc100m_subset_data.tsv",
        ),
        ("cc3m", "cc3m.npy, or Train_GCC-training.tsv and training/"),
        ("cc12m", "cc12m.npy, or cc12m.tsv and images/"),
        ("redcaps", r"annotations/\*.json or redcaps_v1.json, and images/SUBREDDIT/\*.jpg"),
        ("coco", "annotations/captions_train2014.json or .* or annotations/captions_val2017.json"),
        ("coco2014", "annotations/captions_train2014.json or annotations/captions_val2014.json"),
        ("coco-karpathy", "dataset_coco.json"),
    ],
)
def test_a_folder_of_something_else(tmp_path, layout, looked_for):
    for end in ("it is empty", "it holds other.txt"):
        with pytest.raises(
            SightwordError, match=f"does not look like {layout}: looked for {looked_for}.*{end}"
        ):
            open_pairs(f"{layout}:{tmp_path}")
        put(tmp_path / "other.txt", b"")


def test_corpora_joined_and_split(tmp_path):
    yfcc_by_list(tmp_path / "a")
    coco(tmp_path / "b", "2017")
    redcaps_by_annotations(tmp_path / "c")
    joined = open_pairs(f"yfcc15m:{tmp_path}/a::coco:{tmp_path}/b::redcaps:{tmp_path}/c", "train")
    assert [text.key.partition("/")[0] for text in joined.texts()] == [
        "00000005",
        "12345678",
        "train2017",
        "abandoned",
        "itookapicture",
    ]


def test_wrong_names(tmp_path):
    with pytest.raises(SightwordError, match="unknown layout 'yfcc'; did you mean yfcc15m"):
        open_pairs(f"yfcc:{tmp_path}")
    with pytest.raises(SightwordError, match="is no folder; write --data coco:FOLDER"):
        open_pairs(f"coco:{tmp_path}/none")
    with pytest.raises(SightwordError, match="does not exist"):
        open_pairs(f"yfcc:{tmp_path}/none")


@pytest.mark.parametrize(
    ("layout", "name", "content"),
    [
        ("coco", "annotations/captions_train2017.json", b'{"images": ['),
        ("coco", "annotations/captions_train2017.json", b"[]"),
        ("coco", "annotations/captions_train2017.json", b'{"images": [{}], "annotations": []}'),
        ("coco", "annotations/captions_train2017.json", b'{"images": [], "annotations": [3]}'),
        ("redcaps", "annotations/a_2017.json", b"{}"),
        ("redcaps", "redcaps_v1.json", b'{"annotations": []}'),
        ("redcaps", "redcaps_v1.json", b'[{"image_id": "a"'),
        ("cc3m", "cc3m.npy", b"\x93NUMPY\x01\x00\xff\xff"),
        ("cc3m", "cc3m.npy", b"cposix\nsystem\n(S'true'\ntR."),
        ("yfcc15m", "yfcc15m.pkl", pickle.dumps({"not": "a list"})),
    ],
)
def test_damaged_annotations_are_named(tmp_path, layout, name, content):
    put(tmp_path / name, content)
    (tmp_path / "train2017").mkdir()
    (tmp_path / "images").mkdir()
    with pytest.raises(SightwordError, match=name) as error:
        open_pairs(f"{layout}:{tmp_path}")
    assert "\n" not in str(error.value)


def test_a_hostile_list_runs_nothing(tmp_path):
    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path / 'touched'}",)

    (tmp_path / "images").mkdir()
    (tmp_path / "yfcc15m.pkl").write_bytes(pickle.dumps([(1, "a", "b"), Touch()]))
    with pytest.raises(SightwordError, match=r"wants to import posix\.system"):
        open_pairs(f"yfcc15m:{tmp_path}")
    put_npy(tmp_path / "cc12m.npy", [{"image_name": "a", "captions": Touch()}])
    with pytest.raises(SightwordError, match=r"wants to import posix\.system"):
        open_pairs(f"cc12m:{tmp_path}")
    assert not (tmp_path / "touched").exists()
