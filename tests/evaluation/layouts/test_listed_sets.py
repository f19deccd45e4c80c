"""Food-101, Flowers, Pets, DTD, CUB, SUN397, Aircraft and Cars as their publishers ship them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from painted import lines, opened, paint, refused, shown
from scipy.io import savemat

from sightword.evaluation.cards import card_of


@pytest.fixture(params=["txt", "json"])
def food(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    root = tmp_path / "food-101"
    parts = {"train": ["apple_pie/12", "waffles/7"], "test": ["waffles/3", "apple_pie/40", "waffles/9"]}
    for entry in (*parts["train"], *parts["test"]):
        paint(root / "images" / f"{entry}.jpg", int(entry.split("/")[1]))
    lines(root / "meta" / "classes.txt", ["apple_pie", "waffles"])
    for split, entries in parts.items():
        if request.param == "txt":
            lines(root / "meta" / f"{split}.txt", entries)
        else:
            by_class = {c: [e for e in entries if e.startswith(c)] for c in ("apple_pie", "waffles")}
            (root / "meta" / f"{split}.json").write_text(json.dumps(by_class))
    return root


def test_food101(food: Path) -> None:
    found = opened("food101", food)
    (test,) = found.tests
    assert sorted(shown(test)) == [(3, "waffles"), (9, "waffles"), (40, "apple pie")]
    assert sorted(shown(found.train)) == [(7, "waffles"), (12, "apple pie")]
    assert found.validation is None
    assert test.classes is not None
    assert test.classes.names == card_of("food101").classes
    assert test.templates == card_of("food101").templates
    (food / "images" / "waffles" / "3.jpg").unlink()
    refused(
        "food101",
        food,
        r"Food-101: 1 of the 3 pictures that '.*test\.\w+' lists are missing .*'waffles/3.jpg'",
    )


def test_food101_without_its_lists(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "meta").mkdir()
    refused("food101", tmp_path, r"test\.json' is missing; get it: ")
    (tmp_path / "meta" / "test.json").write_text("[]")
    refused("food101", tmp_path, "holds no JSON object")
    (tmp_path / "meta" / "test.json").write_text("{")
    refused("food101", tmp_path, "is not JSON")
    lines(tmp_path / "meta" / "test.txt", ["stew/1"])
    refused("food101", tmp_path, "has no class 'stew'")


def flowers(root: Path) -> Path:
    """Eight pictures; the splits' order is not that of the numbers."""
    for i in range(1, 9):
        paint(root / "jpg" / f"image_{i:05d}.jpg", i)
    savemat(root / "imagelabels.mat", {"labels": np.array([[102, 1, 77, 77, 2, 1, 54, 102]], np.uint8)})
    splits = {"trnid": [[3, 1]], "valid": [[8]], "tstid": [[7, 2, 4, 5, 6]]}
    savemat(root / "setid.mat", {name: np.array(ids, np.uint16) for name, ids in splits.items()})
    return root


def test_flowers(tmp_path: Path) -> None:
    found = opened("flowers", flowers(tmp_path / "flowers-102"))
    # The publisher's classes 1, 2, 54, 77 and 102 (https://www.robots.ox.ac.uk/~vgg/data/flowers/102/categories.html)
    assert shown(found.tests[0]) == [
        (7, "sunflower"), (2, "pink primrose"), (4, "passion flower"), (5, "hard-leaved pocket orchid"),
        (6, "pink primrose"),
    ]  # fmt: skip
    assert shown(found.train) == [(3, "passion flower"), (1, "blackberry lily")]
    assert shown(found.validation) == [(8, "blackberry lily")]


def test_broken_flowers_are_refused(tmp_path: Path) -> None:
    root = flowers(tmp_path)
    savemat(root / "setid.mat", {"trnid": [[1]], "valid": [[2]], "tstid": [[9]]})
    refused("flowers", root, "numbers pictures beyond the 8 that have labels")
    savemat(root / "setid.mat", {"trnid": [[1]]})
    refused("flowers", root, "no variable 'valid'")
    (root / "setid.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut")
    refused("flowers", root, "setid.mat' cannot be read")
    (root / "setid.mat").unlink()
    refused("flowers", root, "setid.mat' is missing")


PETS = [
    "Abyssinian",
    "american_bulldog",
    "american_pit_bull_terrier",
    "basset_hound",
    "beagle",
    "Bengal",
    "Birman",
]


def pets(root: Path, rows: list[tuple[str, int]]) -> Path:
    for name, _ in rows:
        paint(root / "images" / f"{name}.jpg", int(name.rpartition("_")[2]))
    lines(root / "annotations" / "test.txt", [f"{name} {number} 1 1" for name, number in rows])
    lines(root / "annotations" / "trainval.txt", ["Bengal_1 6 1 2"])
    paint(root / "images" / "Bengal_1.jpg", 1)
    return root


def test_pets_class_ids_are_not_the_cards_order(tmp_path: Path) -> None:
    rows = [(f"{breed}_{10 + i}", i + 1) for i, breed in enumerate(PETS)] + [("yorkshire_terrier_90", 37)]
    found = opened("pets", pets(tmp_path / "oxford-iiit-pet", rows))
    words = [breed.replace("_", " ") for breed in PETS] + ["yorkshire terrier"]
    assert shown(found.tests[0]) == list(zip([10, 11, 12, 13, 14, 15, 16, 90], words, strict=True))
    assert shown(found.train) == [(1, "Bengal")]
    assert card_of("pets").classes[1] == "Bengal"  # where the publisher has the American bulldog


def test_pets_whose_id_and_name_disagree(tmp_path: Path) -> None:
    refused(
        "pets", pets(tmp_path, [("Bengal_5", 7)]), "gives 'Bengal_5' the class id 7, which is not its breed"
    )
    refused("pets", pets(tmp_path, [("Bengal_5", 38)]), "class id 38")
    lines(tmp_path / "annotations" / "test.txt", ["Bengal_5"])
    refused("pets", tmp_path, "wanted 2 columns")


def test_textures_are_those_of_the_first_partition(tmp_path: Path) -> None:
    names = ["zigzagged/zigzagged_0004.jpg", "banded/banded_0002.jpg", "polka-dotted/polka-dotted_0007.jpg"]
    for name in names:
        paint(tmp_path / "images" / name, int(name[-8:-4]))
    for split, name in zip(("train", "val", "test"), names, strict=True):
        lines(tmp_path / "labels" / f"{split}1.txt", [name])
        lines(tmp_path / "labels" / f"{split}2.txt", names)
    found = opened("dtd", tmp_path)
    assert [shown(part) for part in (found.train, found.validation, found.tests[0])] == [
        [(4, "zigzagged")], [(2, "banded")], [(7, "polka-dotted")],
    ]  # fmt: skip
    assert found.tests[0].split == "test1"
    lines(tmp_path / "labels" / "val1.txt", [])
    refused("dtd", tmp_path, "val1.txt' is empty")


def test_birds(tmp_path: Path) -> None:
    root = tmp_path / "CUB_200_2011"
    names = [
        "001.Black_footed_Albatross/a.jpg",
        "002.Laysan_Albatross/b.jpg",
        "200.Common_Yellowthroat/c.jpg",
    ]
    for i, name in enumerate(names):
        paint(root / "images" / name, i)
    lines(root / "images.txt", [f"{i + 1} {name}" for i, name in enumerate(names)])
    lines(root / "image_class_labels.txt", ["1 1", "3 200", "2 2"])
    lines(root / "train_test_split.txt", ["1 0", "2 1", "3 0"])
    found = opened("cub200", root.parent)  # the archive is one folder, which may lie in another
    assert shown(found.tests[0]) == [(0, "Black footed Albatross"), (2, "Common Yellowthroat")]
    assert shown(found.train) == [(1, "Laysan Albatross")]
    lines(root / "train_test_split.txt", ["1 0", "2 1"])
    refused("cub200", root, "has 2 pictures, images.txt has 3")
    lines(root / "train_test_split.txt", ["1 0", "2 1", "3 0"])
    lines(root / "image_class_labels.txt", ["1 1", "3 201", "2 2"])
    refused("cub200", root, "has the label 200; wanted one of 200 classes")


def test_scenes_of_the_first_partition(tmp_path: Path) -> None:
    root = tmp_path / "SUN397"
    tested = ["/j/jail/indoor/sun_b.jpg", "/j/jail_cell/sun_a.jpg", "/a/abbey/sun_c.jpg"]
    for i, name in enumerate([*tested, "/t/theater/indoor_seats/sun_d.jpg"]):
        paint(root / name[1:], i)
    refused("sun397", root, "nothing at .*Testing_01.txt")
    lines(root / "Partitions" / "Testing_01.txt", tested)
    lines(root / "Partitions" / "Training_01.txt", ["/t/theater/indoor_seats/sun_d.jpg"])
    found = opened("sun397", root)
    assert shown(found.tests[0]) == [(0, "jail indoor"), (1, "jail cell"), (2, "abbey")]
    assert shown(found.train) == [(3, "theater indoor seats")]
    assert found.tests[0].split == "Testing_01"
    lines(root / "Partitions" / "Testing_01.txt", ["/s/saloon/sun_b.jpg"])
    refused("sun397", root, "lists 's/saloon/sun_b.jpg', of no known scene")


def test_aircraft(tmp_path: Path) -> None:
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    for number in ("0034309", "0000007", "0000020"):
        paint(data / "images" / f"{number}.jpg", int(number) % 1000)
    lines(data / "variants.txt", card_of("aircraft").classes)
    lines(data / "images_variant_train.txt", ["0000007 F-16A/B"])
    lines(data / "images_variant_val.txt", ["0000020 Model B200"])
    lines(data / "images_variant_test.txt", ["0034309 Boeing 717", "0000007 707-320"])
    lines(data / "images_variant_trainval.txt", ["0000007 F-16A/B", "0000020 Model B200"])
    found = opened("aircraft", data.parent)
    assert shown(found.tests[0]) == [(309, "Boeing 717"), (7, "707-320")]
    assert shown(found.train) == [(7, "F-16A/B")]
    assert shown(found.validation) == [(20, "Model B200")]
    lines(data / "variants.txt", card_of("aircraft").classes[:99])
    refused("aircraft", data.parent, "has 99 of the 100 variants")


def annotations(rows: list[tuple[str, int]], with_class: bool = True) -> dict[str, np.ndarray]:
    """A struct array as Matlab has it: bounding boxes, classes from 1, names."""
    kinds = [("bbox_x1", "O"), *([("class", "O")] if with_class else []), ("fname", "O")]
    entries = [(30, number, name) if with_class else (30, name) for name, number in rows]
    return {"annotations": np.array([entries], dtype=kinds)}


def test_cars(tmp_path: Path) -> None:
    names = np.array(card_of("cars").classes, dtype=object)[None]
    (tmp_path / "devkit").mkdir()
    savemat(tmp_path / "devkit" / "cars_meta.mat", {"class_names": names})
    savemat(
        tmp_path / "devkit" / "cars_train_annos.mat", annotations([("00001.jpg", 14), ("00002.jpg", 196)])
    )
    savemat(tmp_path / "devkit" / "cars_test_annos.mat", annotations([("00001.jpg", 0)], with_class=False))
    for split, numbers in (("train", (1, 2)), ("test", (1, 3))):
        for number in numbers:
            paint(tmp_path / f"cars_{split}" / f"{number:05d}.jpg", number + 10 * (split == "test"))
    refused("cars", tmp_path, "nothing at .*cars_test_annos_withlabels.mat")
    truth = annotations([("00003.jpg", 1), ("00001.jpg", 6)])
    savemat(tmp_path / "cars_test_annos_withlabels.mat", truth)
    found = opened("cars", tmp_path)
    assert shown(found.train) == [(1, "Audi TTS Coupe 2012"), (2, "smart fortwo Convertible 2012")]
    assert shown(found.tests[0]) == [(13, "AM General Hummer SUV 2000"), (11, "Acura Integra Type R 2001")]
    savemat(tmp_path / "cars_test_annos_withlabels.mat", annotations([("00001.jpg", 0)], with_class=False))
    refused("cars", tmp_path, "has no field 'class'")
