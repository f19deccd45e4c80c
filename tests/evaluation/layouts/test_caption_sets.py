"""COCO and Flickr30k in Karpathy's splits, and Flickr30k's own tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from painted import lines, number_of, opened, paint, refused

from sightword.evaluation.labelled import LabelledSet


def image(number: int, split: str, captions: list[str], folder: str = "") -> dict[str, object]:
    """As in dataset_coco.json; Flickr30k's has neither filepath nor cocoid."""
    sentences = [
        {"tokens": text.lower().split(), "raw": text, "imgid": number, "sentid": 10 * number + i}
        for i, text in enumerate(captions)
    ]
    coco = {"filepath": folder, "cocoid": number} if folder else {}
    name = f"COCO_{folder}_{number:012d}.jpg" if folder else f"{number}.jpg"
    return {**coco, "filename": name, "imgid": number, "split": split, "sentences": sentences}


def karpathy(path: Path, images: list[dict[str, object]], pictures: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "dataset": "x"}))
    for entry in images:
        number = entry["imgid"]
        assert isinstance(number, int)
        paint(pictures / str(entry.get("filepath", "")) / str(entry["filename"]), number)
    return path


def said(part: LabelledSet | None) -> list[tuple[int, tuple[str, ...]]]:
    assert part is not None
    assert part.classes is None
    return [(number_of(part.read(i)), part.captions[i]) for i in range(len(part))]


FIVE = [f"A dog jumps {i} times." for i in range(5)]
COCO = [
    image(9, "val", ["A cat.", "Cats. "], "val2014"),
    image(3, "test", [*FIVE, "A sixth."], "val2014"),
    image(4, "restval", ["Left over."], "val2014"),
    image(5, "train", ["Learned from."], "train2014"),
    image(1, "test", ["A dog jumps 0 times.", " A bird.\n"], "val2014"),
]


@pytest.mark.parametrize("place", [".", "annotations"])
def test_coco(tmp_path: Path, place: str) -> None:
    karpathy(tmp_path / place / "dataset_coco.json", COCO, tmp_path)
    found = opened("coco", tmp_path)
    (test,) = found.tests
    assert said(test) == [(3, (*FIVE, "A sixth.")), (1, ("A dog jumps 0 times.", "A bird."))]
    assert said(found.validation) == [(9, ("A cat.", "Cats."))]
    assert said(found.train) == [(4, ("Left over.",)), (5, ("Learned from.",))]
    assert test.keys[0] == "val2014/COCO_val2014_000000000003.jpg"
    assert test.metric == "image_retrieval_recall@5"


def test_coco_with_the_pictures_of_val2014_alone(tmp_path: Path) -> None:
    karpathy(tmp_path / "dataset_coco.json", COCO, tmp_path)
    (tmp_path / "train2014" / "COCO_train2014_000000000005.jpg").unlink()
    refused("coco", tmp_path, "1 of the 2 pictures .* 'train2014/COCO_train2014_000000000005.jpg'")
    (tmp_path / "train2014").rmdir()
    found = opened("coco", tmp_path)
    assert found.train is None
    assert len(said(found.validation)) == 1
    (tmp_path / "val2014" / "COCO_val2014_000000000001.jpg").unlink()
    refused("coco", tmp_path, "1 of the 2 pictures .* 'val2014/COCO_val2014_000000000001.jpg'")


def test_cocos_own_captions_are_not_karpathys(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "captions_val2014.json").write_text('{"images": [], "annotations": []}')
    refused("coco", tmp_path, "COCO's own captions, .* add dataset_coco.json")
    karpathy(tmp_path / "annotations" / "dataset_coco.json", COCO, tmp_path)
    assert len(said(opened("coco", tmp_path).tests[0])) == 2


@pytest.mark.parametrize("folder", ["flickr30k-images", "flickr30k_images", "."])
def test_flickr30k(tmp_path: Path, folder: str) -> None:
    images = [
        image(7, "train", ["x"]),
        image(2, "test", FIVE),
        image(8, "test", ["y", "z"]),
        image(6, "val", ["v"]),
    ]
    karpathy(tmp_path / "dataset_flickr30k.json", images, tmp_path / folder)
    found = opened("flickr30k", tmp_path)
    assert said(found.tests[0]) == [(2, tuple(FIVE)), (8, ("y", "z"))]
    assert said(found.train) == [(7, ("x",))]
    assert said(found.validation) == [(6, ("v",))]


def test_lists_that_are_not_karpathys(tmp_path: Path) -> None:
    source = tmp_path / "dataset_flickr30k.json"
    source.write_text("[]")
    refused("flickr30k", tmp_path, "is not Karpathy's list")
    karpathy(source, [image(1, "dev", ["x"])], tmp_path)
    refused("flickr30k", tmp_path, "is not Karpathy's list .*'dev'")
    karpathy(source, [image(1, "train", ["x"])], tmp_path)
    refused("flickr30k", tmp_path, "no picture whose split is test")
    karpathy(source, [image(1, "test", [])], tmp_path)
    refused("flickr30k", tmp_path, "has no caption for '1.jpg'")


def test_flickr30k_from_its_tokens(tmp_path: Path) -> None:
    rows = [f"{n}.jpg#{i}\tA man says {n} # {i} ." for n in (11, 12, 13) for i in range(5)]
    lines(tmp_path / "results_20130124.token", rows)
    for number in (11, 12, 13):
        paint(tmp_path / "flickr30k-images" / f"{number}.jpg", number)
    refused("flickr30k", tmp_path, "does not say which pictures are tested on; add dataset_flickr30k.json")
    lines(tmp_path / "test.txt", ["13", "11"])
    lines(tmp_path / "train.txt", ["12.jpg"])
    found = opened("flickr30k", tmp_path)
    assert said(found.tests[0]) == [(n, tuple(f"A man says {n} # {i} ." for i in range(5))) for n in (13, 11)]
    assert [number for number, _ in said(found.train)] == [12]
    assert found.validation is None
    lines(tmp_path / "test.txt", ["13", "99"])
    refused("flickr30k", tmp_path, "lists '99.jpg', of which 'results_20130124.token' has no caption")
    lines(tmp_path / "test.txt", ["13"])
    (tmp_path / "flickr30k-images" / "13.jpg").unlink()
    refused("flickr30k", tmp_path, "1 of the 1 pictures .*'13.jpg'")
    lines(tmp_path / "results_20130124.token", ["13.jpg A man"])
    refused("flickr30k", tmp_path, "has the line '13.jpg A man'; wanted NAME.jpg#0<tab>caption")
