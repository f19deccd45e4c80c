"""VTAB-1k's lists, whose labels are those of TensorFlow Datasets."""

from __future__ import annotations

from pathlib import Path

import pytest
from painted import lines, opened, paint, refused, shown

from sightword.evaluation.cards import card_of, suites
from sightword.evaluation.finding import find
from sightword.evaluation.layouts.vtab1k import Vtab1k, places_by_label

# Names of folders as they are passed on, and what some labels mean to TensorFlow Datasets 4.9.9 and VTAB.
FOLDERS = {
    "caltech101": ("caltech101", {0: "accordion", 4: "background", 37: "off-center face", 66: "motorbike"}),
    "cifar100": ("cifar", {0: "apple", 99: "worm"}),
    "clevr_counts": ("clevr_count", {0: "3", 6: "9", 7: "10"}),
    "clevr_distance": ("clevr_dist", {0: "very nearby", 5: "very distant"}),
    "diabetic_retinopathy": ("diabetic_retinopathy", {
        0: "no diabetic retinopathy", 4: "proliferative diabetic retinopathy",
    }),
    "dmlab": ("dmlab", {0: "nearby apple/melon", 5: "very far lemon"}),
    "dsprites_location": ("dsprites_loc", {0: "0 to 6.25", 15: "93.75 to 100"}),
    "dsprites_orientation": ("dsprites_ori", {1: "22.5 to 45 degrees", 15: "337.5 to 360 degrees"}),
    "dtd": ("dtd", {0: "banded", 46: "zigzagged"}),
    "eurosat": ("eurosat", {2: "brushland or shrubland", 9: "lake or sea"}),
    "flowers": ("oxford_flowers102", {0: "pink primrose", 101: "blackberry lily"}),
    "kitti_distance": ("kitti", {
        0: "a photo i took of a car on my left or right side.", 1: "a photo i took with a car nearby.",
        2: "a photo i took with a car in the distance.", 3: "a photo i took with no car.",
    }),
    "patch_camelyon": ("patch_camelyon", {
        0: "lymph node", 1: "lymph node containing metastatic tumor tissue",
    }),
    "pets": ("oxford_iiit_pet", {1: "american bulldog", 5: "Bengal", 36: "yorkshire terrier"}),
    "resisc45": ("resisc45", {0: "airplane", 44: "wetland"}),
    "smallnorb_azimuth": ("smallnorb_azi", {0: "0 degrees", 17: "340 degrees"}),
    "smallnorb_elevation": ("smallnorb_ele", {0: "30 degrees", 8: "70 degrees"}),
    "sun397": ("sun397", {0: "abbey", 206: "jail indoor", 207: "jail cell", 396: "youth hostel"}),
    "svhn": ("svhn", {0: "zero", 9: "nine"}),
}  # fmt: skip


def vtab(root: Path, labels: list[int], lone: bool = False) -> Path:
    """Lists as they are passed on; the picture of a line shows its label there."""
    parts = {"train800val200": labels} if lone else {"train800": labels[1:], "val200": labels[:1]}
    for split, mine in {**parts, "test": labels}.items():
        rows = [f"images/{split}/{i:06d}.jpg {label}" for i, label in enumerate(mine)]
        lines(root / f"{split}.txt", rows)
        for i, label in enumerate(mine):
            paint(root / "images" / split / f"{i:06d}.jpg", label)
    return root


def test_all_nineteen() -> None:
    assert set(Vtab1k.cards) == {card.name for card in suites()["vtab"]} == set(FOLDERS)
    for name in FOLDERS:
        assert sorted(places_by_label(card_of(name))) == list(range(len(card_of(name).classes))), name


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_labels_mean_what_they_mean_there(tmp_path: Path, name: str) -> None:
    folder, meanings = FOLDERS[name]
    root = vtab(tmp_path / "vtab-1k" / folder, list(meanings))
    assert find(card_of(name), tmp_path) == root
    found = opened(name, root)
    assert shown(found.tests[0]) == list(meanings.items())
    assert shown(found.validation) == list(meanings.items())[:1]
    assert shown(found.train) == list(meanings.items())[1:]
    assert found.tests[0].split == "vtab1k_test"


def test_the_thousand_together(tmp_path: Path) -> None:
    found = opened("svhn", vtab(tmp_path, [3, 0], lone=True))
    assert shown(found.train) == [(3, "three"), (0, "zero")]
    assert found.validation is None


def test_lists_that_do_not_fit(tmp_path: Path) -> None:
    root = vtab(tmp_path, [3, 1])
    (root / "images" / "val200" / "000000.jpg").unlink()
    refused("svhn", root, "1 of the 1 pictures .*'images/val200/000000.jpg'")
    lines(root / "val200.txt", ["images/val200/000000.jpg 10"])
    refused("svhn", root, "labels from 10 to 10; wanted 0 to 9")
    lines(root / "val200.txt", ["images/val200/000000.jpg"])
    refused("svhn", root, "has 'images/val200/000000.jpg' where a number belongs")
    (root / "val200.txt").unlink()
    refused("svhn", root, "val200.txt' is missing")
