"""SLIP's own layouts: class folders with a test part of several names, and lists kept as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painted import opened, paint, refused, shown

from sightword.errors import SightwordError
from sightword.evaluation.cards import card_of
from sightword.evaluation.layouts.classfolders import ClassFolders, places_of
from sightword.evaluation.layouts.filelists import FileLists

# dataset_catalog.json of facebookresearch/SLIP: the sets whose type is imagefolder, and filelist.
FOLDERS = {
    "food101", "cub200", "cars", "aircraft", "dtd", "pets", "caltech101", "flowers", "fer2013", "eurosat",
    "resisc45", "gtsrb", "kitti_distance", "country211", "patch_camelyon", "ucf101_frames",
    "kinetics700_frames", "hateful_memes", "rendered_sst2", "imagenet",
}  # fmt: skip


def test_the_sets_are_those_of_slips_catalogue() -> None:
    assert set(ClassFolders.cards) == FOLDERS
    assert set(FileLists.cards) == {"sun397", "clevr_counts"}


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("train", "val"), ("train", "dev"),
                                             ("train_images", "val_images")])  # fmt: skip
def test_the_test_folder_has_several_names(tmp_path: Path, train: str, test: str) -> None:
    words = ("negative", "positive")
    for i, word in enumerate(words):
        paint(tmp_path / test / word / "b.png", i + 2)
        paint(tmp_path / train / word / "a.png", i + 4)
    found = opened("rendered_sst2", tmp_path)
    assert shown(found.tests[0]) == [(2, "negative"), (3, "positive")]
    assert shown(found.train) == [(4, "negative"), (5, "positive")]
    assert [part.split for part in found.tests] == [test]
    assert found.validation is None


@pytest.mark.parametrize("second", ["val", "valid", "dev", "val_images"])
def test_the_second_part_is_for_choosing(tmp_path: Path, second: str) -> None:
    for i, split in enumerate(("test", second, "train")):
        for word in ("negative", "positive"):
            paint(tmp_path / split / word / "a.png", i)
    found = opened("rendered_sst2", tmp_path)
    assert [part.split for part in found.tests] == ["test"]
    assert shown(found.tests[0])[0] == (0, "negative")
    assert shown(found.validation)[0] == (1, "negative")
    assert shown(found.train)[0] == (2, "negative")


def test_folders_are_counted_as_the_card_counts() -> None:
    here = Path()
    flowers, dtd, gtsrb = card_of("flowers"), card_of("dtd"), card_of("gtsrb")
    by_number = places_of(
        flowers, [str(i) for i in range(1, 103)], here
    )  # which sort as 1, 10, 100, 101, ...
    assert [flowers.classes[by_number[number]] for number in ("2", "10", "102")] == [
        "hard-leaved pocket orchid", "globe thistle", "blackberry lily",
    ]  # fmt: skip
    assert places_of(gtsrb, [f"{i:05d}" for i in range(43)], here)["00042"] == 42
    assert places_of(dtd, ["zigzagged", "polka-dotted"], here) == {"zigzagged": 46, "polka-dotted": 30}
    pets = places_of(card_of("pets"), ["american_pit_bull_terrier", "Sphynx"], here)
    assert pets == {"american_pit_bull_terrier": 13, "Sphynx": 11}
    by_id = places_of(card_of("pets"), [str(i) for i in range(1, 38)], here)
    assert card_of("pets").classes[by_id["2"]] == "american bulldog"  # the publisher's second class
    assert places_of(card_of("kitti_distance"), ["0", "1", "2", "3"], here)["0"] == 2  # VTAB's: the nearest
    counts = places_of(card_of("clevr_counts"), ["3", "10"], here)
    assert counts == {"3": 1, "10": 0}
    leopards = places_of(card_of("caltech101"), ["Leopards", "BACKGROUND_Google"], here)
    assert leopards == {"Leopards": 3, "BACKGROUND_Google": 0}
    assert places_of(card_of("eurosat"), [f"x{i}" for i in range(10)], here)["x7"] == 7


def test_folders_that_fit_no_class(tmp_path: Path) -> None:
    paint(tmp_path / "test" / "tulip" / "a.png", 1)
    refused("flowers", tmp_path, "has 1 class folders, Oxford Flowers 102 has 102 classes")


def test_one_strange_folder_among_known_ones_does_not_make_all_others_wrong() -> None:
    """Sorted, the others would stand for other flowers than those that they are named after."""
    names = [name.replace(" ", "_") for name in card_of("flowers").classes]
    with pytest.raises(SightwordError, match="'tulip' is not"):
        places_of(card_of("flowers"), ["tulip", *names[1:]], Path())
    birds = [f"{i + 1:03d}.{name}" for i, name in enumerate(card_of("cub200").classes)]
    assert list(places_of(card_of("cub200"), birds, Path()).values()) == list(range(200))


def test_traffic_signs_in_class_folders_are_ppm(tmp_path: Path) -> None:
    for i in range(43):
        for split in ("train", "test"):
            paint(tmp_path / split / f"{i:05d}" / "00000.ppm", i)
    assert [number for number, _ in shown(opened("gtsrb", tmp_path).tests[0])] == list(range(43))


def test_words_beside_the_folders_are_the_users_own(tmp_path: Path) -> None:
    for i, word in enumerate(("a", "b")):
        paint(tmp_path / "test" / word / "a.png", i)
    (tmp_path / "classnames.txt").write_text("bad\ngood\n")
    assert shown(opened("rendered_sst2", tmp_path).tests[0]) == [(0, "bad"), (1, "good")]


def lists(root: Path, split: str, pictures: list[str], labels: object) -> None:
    np.save(root / f"{split}_images.npy", np.array(pictures))
    np.save(root / f"{split}_labels.npy", np.array(labels))


def test_lists_of_counts(tmp_path: Path) -> None:
    """As SLIP's datasets.py reads CLEVR: labels are words, of which `count_10` is the first."""
    elsewhere = tmp_path / "pictures"
    for i in range(4):
        paint(elsewhere / f"{i}.png", i)
    root = tmp_path / "clevr_counts"
    root.mkdir()
    lists(root, "val", [str(elsewhere / f"{i}.png") for i in (2, 0, 1)], ["count_10", "count_3", "count_9"])
    lists(root, "train", ["../pictures/3.png"], ["count_4"])
    found = opened("clevr_counts", root)
    assert shown(found.tests[0]) == [(2, "10"), (0, "3"), (1, "9")]
    assert shown(found.train) == [(3, "4")]
    assert found.tests[0].split == "val"


def test_lists_of_scenes(tmp_path: Path) -> None:
    for i in range(3):
        paint(tmp_path / f"{i}.jpg", i)
    lists(tmp_path, "test", ["0.jpg", "2.jpg"], [206, 396])
    lists(tmp_path, "train", ["1.jpg"], [0])
    found = opened("sun397", tmp_path)
    assert shown(found.tests[0]) == [(0, "jail cell"), (2, "youth hostel")]  # SLIP's own order
    assert shown(found.train) == [(1, "abbey")]


def test_lists_that_are_broken(tmp_path: Path) -> None:
    paint(tmp_path / "0.jpg", 0)
    lists(tmp_path, "test", ["0.jpg", "1.jpg"], [0, 1])
    refused("sun397", tmp_path, "1 of the 2 pictures .* first '1.jpg'")
    lists(tmp_path, "test", ["0.jpg"], [0, 1])
    refused("sun397", tmp_path, "1 pictures for 2 labels")
    lists(tmp_path, "test", ["0.jpg"], [397])
    refused("sun397", tmp_path, "label 397; wanted one of 397 classes")
    lists(tmp_path, "test", ["0.jpg"], np.array([{"a": 1}], dtype=object))
    refused("sun397", tmp_path, "test_labels.npy' is no plain array")
    (tmp_path / "test_labels.npy").unlink()
    refused("sun397", tmp_path, "test_labels.npy' is missing")
