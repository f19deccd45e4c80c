from __future__ import annotations

import pytest
from corpora_on_disk import coco, picture, put

from sightword.errors import SightwordError
from sightword.pairs.sources import open_pairs


@pytest.mark.parametrize(("year", "pictures"), [("2017", ""), ("2014", ""), ("2017", "images")])
def test_coco(tmp_path, year, pictures):
    coco(tmp_path, year, pictures)
    pairs = open_pairs(f"coco:{tmp_path}", "train")
    assert list(pairs.keys) == [f"train{year}/000000000009"]
    assert pairs[0].captions == tuple(f"train 9, caption {k}" for k in range(5))
    assert pairs[0].image == picture(9)
    assert pairs.report.without_picture == 1
    assert list(open_pairs(f"coco{year}:{tmp_path}", "val").keys) == [f"val{year}/000000000139"]
    assert len(open_pairs(f"coco:{tmp_path}")) == 2
    with pytest.raises(SightwordError, match=r"unknown split.*'test'.*train, val"):
        open_pairs(f"coco:{tmp_path}", "test")


def test_coco_of_two_years_must_be_told_apart(tmp_path):
    coco(tmp_path, "2014")
    coco(tmp_path, "2017")
    with pytest.raises(SightwordError, match=f"coco2014:{tmp_path} or coco2017:{tmp_path}"):
        open_pairs(f"coco:{tmp_path}")
    assert open_pairs(f"coco2014:{tmp_path}", "val")[0].key == "val2014/000000000139"


def test_karpathys_splits(tmp_path):
    images = []
    for number, (split, folder) in enumerate(
        [("train", "train2014"), ("restval", "val2014"), ("val", "val2014"), ("test", "val2014")]
    ):
        name = f"COCO_{folder}_{number:012d}.jpg"
        sentences = [{"raw": f"{split} {k}", "tokens": [], "sentid": k} for k in range(5)]
        about = {
            "filepath": folder,
            "filename": name,
            "cocoid": number,
            "split": split,
            "sentences": sentences,
        }
        images.append(about)
        put(tmp_path / folder / name, picture(number))
    put(tmp_path / "dataset_coco.json", {"images": images, "dataset": "coco"})
    trained = open_pairs(f"coco-karpathy:{tmp_path}", "train")
    assert [sample.fields["karpathy"] for sample in trained.texts()] == ["train", "restval"]
    assert trained[1].image == picture(1)
    assert open_pairs(f"coco-karpathy:{tmp_path}", "test")[0].captions == tuple(f"test {k}" for k in range(5))
