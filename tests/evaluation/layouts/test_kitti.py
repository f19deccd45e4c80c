"""KITTI's pictures by the distance of the closest vehicle, split by drives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painted import lines, opened, paint, refused, shown

from sightword.evaluation.cards import card_of
from sightword.evaluation.layouts.kitti import bin_of, parts_of, places_by_distance

NEAR, MIDDLE, FAR, NONE = (
    "a photo i took of a car on my left or right side.",
    "a photo i took with a car nearby.",
    "a photo i took with a car in the distance.",
    "a photo i took with no car.",
)


def line(kind: str, z: float) -> str:
    """As in the devkit's readme: type, truncation, occlusion, angle, box, size, place, rotation."""
    return f"{kind} 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 {z:.2f} -1.59"


@pytest.mark.parametrize(
    ("things", "words"),
    [
        ([("Car", 7.99)], NEAR),
        ([("Car", 8.0)], NEAR),
        ([("Car", 8.01)], MIDDLE),
        ([("Van", 20.0), ("Car", 45.0)], MIDDLE),
        ([("Truck", 20.01)], FAR),
        ([("Pedestrian", 3.0), ("Tram", 4.0), ("Car", 60.0), ("DontCare", -1000.0)], FAR),
        ([("Cyclist", 6.0), ("DontCare", -1000.0)], NONE),
        ([], NONE),
    ],
)
def test_bins_and_their_words(tmp_path: Path, things: list[tuple[str, float]], words: str) -> None:
    lines(tmp_path / "000000.txt", [line(*thing) for thing in things])
    card = card_of("kitti_distance")
    assert card.classes[places_by_distance(card)[bin_of(card, tmp_path / "000000.txt")]] == words


def kitti(root: Path, drives: list[str]) -> Path:
    """A picture a drive and line, in an order of its own; the car of picture i is i metres away."""
    order = np.random.default_rng(4).permutation(len(drives))  # the line, from 0, of each picture
    for i in range(len(drives)):
        paint(root / "training" / "image_2" / f"{i:06d}.png", i)
        lines(root / "training" / "label_2" / f"{i:06d}.txt", [line("Car", i + 0.5)])
    mapping = [f"2011_09_26 2011_09_26_drive_{drive}_sync {i:010d}" for i, drive in enumerate(drives)]
    lines(root / "mapping" / "train_mapping.txt", mapping)
    (root / "mapping" / "train_rand.txt").write_text(",".join(str(line + 1) for line in order))
    return root


def test_whole_drives_are_drawn_as_tensorflow_datasets_draws_them(tmp_path: Path) -> None:
    drives = [f"{i // 2:04d}" for i in range(60)]  # 30 drives of two pictures
    root = kitti(tmp_path, drives)
    found = opened("kitti_distance", root)
    order = np.random.default_rng(4).permutation(60)
    names = sorted({f"2011_09_26_drive_{drive}_sync" for drive in drives})
    np.random.seed(123)  # noqa: NPY002  as kitti_dataset_builder.py does
    test = set(np.random.choice(names, 3, replace=False))  # noqa: NPY002
    rest = sorted(set(names) - test)
    validation = set(np.random.choice(rest, 3, replace=False))  # noqa: NPY002
    for part, mine in ((found.tests[0], test), (found.validation, validation)):
        wanted = {i for i in range(60) if f"2011_09_26_drive_{drives[order[i]]}_sync" in mine}
        assert {number for number, _ in shown(part)} == wanted
        assert len(wanted) == 6
    assert len(shown(found.train)) == 48
    for number, word in (*shown(found.tests[0]), *shown(found.validation), *shown(found.train)):
        assert word == (NEAR if number < 8 else MIDDLE if number < 20 else FAR)


def test_at_least_one_drive_is_tested_on() -> None:
    parts = parts_of(["a", "b", "b", "c"])
    assert {split: len(rows) > 0 for split, rows in parts.items()} == dict.fromkeys(parts, True)
    assert sorted(i for rows in parts.values() for i in rows) == [0, 1, 2, 3]


def test_missing_parts_are_told(tmp_path: Path) -> None:
    root = kitti(tmp_path, ["1", "2", "3", "4"])
    (root / "training" / "image_2" / "000002.png").unlink()
    refused("kitti_distance", root, "1 of the .* '000002.png'")
    (root / "training" / "label_2" / "000002.txt").unlink()
    refused("kitti_distance", root, "'000002.txt'")
    (root / "mapping" / "train_rand.txt").write_text("1,2,3,9")
    refused("kitti_distance", root, "beyond the 4 lines")
    (root / "mapping" / "train_rand.txt").unlink()
    refused("kitti_distance", root, "train_rand.txt' is missing")
    (root / "mapping" / "train_mapping.txt").unlink()
    (root / "mapping").rmdir()
    refused("kitti_distance", root, "nothing at '.*mapping'")


def test_a_line_cut_short(tmp_path: Path) -> None:
    root = kitti(tmp_path, ["1", "2", "3", "4"])
    lines(root / "training" / "label_2" / "000001.txt", ["Car 0.00 0 -1.58"])
    refused("kitti_distance", root, "a line of 4 words, wanted 15")
