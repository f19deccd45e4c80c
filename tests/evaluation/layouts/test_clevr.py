"""CLEVR's scenes as two tasks of VTAB."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from painted import opened, paint, refused, shown

from sightword.evaluation.cards import card_of


def scene(split: str, number: int, distances: list[float]) -> dict[str, object]:
    """As `scenes/CLEVR_val_scenes.json` has them, less what nobody reads."""
    return {
        "image_index": number,
        "image_filename": f"CLEVR_{split}_{number:06d}.png",
        "split": split,
        "objects": [
            {"shape": "cube", "size": "large", "3d_coords": [1.0, 2.0, 0.7], "pixel_coords": [229, 110, far]}
            for far in distances
        ],
    }


def clevr(root: Path, **splits: list[list[float]]) -> Path:
    for split, pictures in splits.items():
        scenes = [scene(split, i, distances) for i, distances in enumerate(pictures)]
        where = root / "scenes" / f"CLEVR_{split}_scenes.json"
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(json.dumps({"info": {"license": "CC BY 4.0"}, "scenes": scenes}))
        for i in range(len(pictures)):
            paint(root / "images" / split / f"CLEVR_{split}_{i:06d}.png", i)
    return root


def test_counts(tmp_path: Path) -> None:
    counts = [10, 3, 7, 4]
    root = clevr(tmp_path / "CLEVR_v1.0", val=[[11.5] * n for n in counts], train=[[11.5] * 9])
    found = opened("clevr_counts", root)
    assert shown(found.tests[0]) == [(0, "10"), (1, "3"), (2, "7"), (3, "4")]
    assert shown(found.train) == [(0, "9")]
    assert found.tests[0].split == "val"
    assert card_of("clevr_counts").classes[0] == "10"


def test_bins_of_distance(tmp_path: Path) -> None:
    """A bound belongs to the nearer bin: thresholds are smaller than what they let through."""
    nearest = [7.9, 8.0, 8.01, 8.5, 8.7, 9.0, 9.2, 9.5, 9.51, 10.0, 10.01, 14.0]
    bins = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    found = opened("clevr_distance", clevr(tmp_path, val=[[12.0, far, 19.0] for far in nearest]))
    (test,) = found.tests
    assert test.classes is not None
    assert test.classes.of.tolist() == bins
    assert test.classes.names == ("very nearby", "nearby", "near", "", "distant", "very distant")
    assert found.train is None


def test_broken_scenes_are_refused(tmp_path: Path) -> None:
    root = clevr(tmp_path, val=[[9.0] * 3, [9.0] * 4])
    (root / "images" / "val" / "CLEVR_val_000001.png").unlink()
    refused("clevr_counts", root, "1 of the 2 pictures that .* lists are missing .*'CLEVR_val_000001.png'")
    clevr(tmp_path / "two", val=[[9.0] * 2])
    refused("clevr_counts", tmp_path / "two", "has no class '2'")
    clevr(tmp_path / "none", val=[[]])
    refused("clevr_distance", tmp_path / "none", "is not CLEVR's list of scenes")
    (root / "scenes" / "CLEVR_val_scenes.json").write_text('{"questions": []}')
    refused("clevr_counts", root, "is not CLEVR's list of scenes")


@pytest.mark.parametrize("name", ["clevr_counts", "clevr_distance"])
def test_the_training_part_needs_its_scenes(tmp_path: Path, name: str) -> None:
    root = clevr(tmp_path, val=[[9.0] * 3], train=[[9.0] * 3])
    (root / "scenes" / "CLEVR_train_scenes.json").unlink()
    refused(name, root, "CLEVR_train_scenes.json' is missing")
