"""Archives are found below the data root under the names that they unpack to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

# What `tar xf` or `unzip` of the publisher's archive leaves, and files that tell it is there.
UNPACKED = {
    "food101": ("food-101", ["images/", "meta/"]),
    "flowers": ("flowers-102", ["jpg/", "imagelabels.mat"]),
    "pets": ("oxford-iiit-pet", ["images/", "annotations/"]),
    "dtd": ("dtd", ["images/", "labels/test1.txt"]),
    "cub200": ("CUB_200_2011", ["images/", "images.txt"]),
    "sun397": ("SUN397", ["a/abbey/"]),
    "cars": ("stanford_cars", ["cars_test/"]),
    "aircraft": ("fgvc-aircraft-2013b", ["data/images/", "data/images_variant_test.txt"]),
    "caltech101": ("caltech-101", ["101_ObjectCategories/accordion/", "101_ObjectCategories/airplanes/"]),
    "clevr_counts": ("CLEVR_v1.0", ["images/val/", "scenes/CLEVR_val_scenes.json"]),
    "clevr_distance": ("CLEVR_v1.0", ["images/val/", "scenes/CLEVR_val_scenes.json"]),
    "kitti_distance": ("kitti", ["training/image_2/", "training/label_2/"]),
    "imagenet": ("ILSVRC", ["Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG"]),
    "imagenetv2": ("imagenetv2-matched-frequency-format-val", ["0/", "999/"]),
    "imagenet_a": ("imagenet-a", ["n01498041/"]),
    "imagenet_r": ("imagenet-r", ["n01443537/"]),
    "imagenet_sketch": ("sketch", ["n01440764/"]),
    "objectnet": ("objectnet-1.0", ["images/", "mappings/folder_to_objectnet_label.json",
                                    "mappings/objectnet_to_imagenet_1k.json"]),
    "coco": ("coco", ["annotations/captions_val2014.json"]),
    "flickr30k": ("flickr30k", ["results_20130124.token"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(UNPACKED))
def test_found_where_it_was_unpacked(tmp_path: Path, name: str) -> None:
    folder, marks = UNPACKED[name]
    (tmp_path / folder).mkdir()
    for mark in marks:
        path = tmp_path / folder / mark
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if mark.endswith("/") else path.touch()
    assert find(card_of(name), tmp_path) == tmp_path / folder


@pytest.mark.parametrize("name", sorted(UNPACKED))
def test_an_empty_folder_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / UNPACKED[name][0]).mkdir()
    assert not isinstance(find(card_of(name), tmp_path), Path)
