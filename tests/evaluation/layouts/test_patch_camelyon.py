"""PatchCamelyon's HDF5 files; with the optional package h5py only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

PATCHES = np.random.default_rng(1).integers(0, 256, (5, 96, 96, 3)).astype(np.uint8)
PARTS = {"test": ((0, 1, 2), (1, 0, 1)), "valid": ((3,), (0,)), "train": ((4,), (1,))}
NAME = "camelyonpatch_level_2_split_{}_{}.h5"


@pytest.fixture
def h5py() -> Any:
    return pytest.importorskip("h5py", reason="the optional package h5py is not installed")


def write(h5py: Any, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, (rows, labels) in PARTS.items():
        with h5py.File(folder / NAME.format(part, "x"), "w") as file:
            file.create_dataset("x", data=PATCHES[list(rows)], chunks=(1, 96, 96, 3), compression="gzip")
        with h5py.File(folder / NAME.format(part, "y"), "w") as file:
            file["y"] = np.array(labels, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return folder


def test_patches_and_labels(h5py: Any, tmp_path: Path) -> None:
    write(h5py, tmp_path / "pcam")
    benchmark = open_benchmark(f"patch_camelyon={find(card_of('patch_camelyon'), tmp_path)}")
    found = {"test": benchmark.tests[0], "valid": benchmark.validation, "train": benchmark.train}
    for part, (rows, labels) in PARTS.items():
        mine = found[part]
        assert mine is not None
        assert mine.classes is not None
        assert mine.classes.of.tolist() == list(labels)
        for i, row in enumerate(rows):
            assert np.array_equal(mine.read(i), PATCHES[row])
    assert "tumor" in card_of("patch_camelyon").classes[1]


def test_broken_files(h5py: Any, tmp_path: Path) -> None:
    folder = write(h5py, tmp_path)
    with h5py.File(folder / NAME.format("test", "y"), "w") as file:
        file["y"] = np.zeros((2, 1, 1, 1), dtype=np.uint8)
    with pytest.raises(SightwordError, match=r"holds uint8 of \(3, 96, 96, 3\); wanted bytes of \(2, 96"):
        open_benchmark(f"patch_camelyon={folder}")
    with h5py.File(folder / NAME.format("test", "y"), "w") as file:
        file["y"] = np.full((3, 1, 1, 1), 2, dtype=np.uint8)
    with pytest.raises(SightwordError, match="says class 2 of picture 0"):
        open_benchmark(f"patch_camelyon={folder}")
    whole = (folder / NAME.format("test", "x")).read_bytes()
    (folder / NAME.format("test", "x")).write_bytes(whole[:900])
    with pytest.raises(SightwordError, match="has no readable array 'x'"):
        open_benchmark(f"patch_camelyon={folder}")
    (folder / NAME.format("test", "y")).unlink()
    with pytest.raises(SightwordError, match="lacks camelyonpatch_level_2_split_test_y"):
        open_benchmark(f"patch_camelyon={folder}")


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for which in "xy":
        (tmp_path / f"{NAME.format('test', which)}.gz").write_bytes(b"packed")
    with pytest.raises(SightwordError, match="is packed; run: gunzip"):
        open_benchmark(f"patch_camelyon={tmp_path}")
    for which in "xy":
        (tmp_path / NAME.format("test", which)).write_bytes(b"unpacked")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SightwordError, match="h5py is missing; run: pip install h5py"):
        open_benchmark(f"patch_camelyon={tmp_path}")
