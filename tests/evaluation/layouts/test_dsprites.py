"""dSprites' npz, small: two shapes in all orientations, or at all places."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find
from sightword.evaluation.labelled import LabelledSet

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
# color, shape, scale, orientation, posX, posY: as latents_classes has them
LATENTS = np.array([(0, 1, 2, turn, x, 5) for turn, x in product(range(40), range(32))])
COARSE = np.random.default_rng(9).integers(0, 2, (len(LATENTS), 8, 8)).astype(np.uint8)
SHAPES = COARSE.repeat(8, axis=1).repeat(8, axis=2)


def write(folder: Path, latents: np.ndarray = LATENTS, shapes: np.ndarray = SHAPES) -> Path:
    """With a pickled `metadata`, as the publisher has it, which must stay closed."""
    folder.mkdir(parents=True, exist_ok=True)
    about = np.array({"title": "dSprites"}, dtype=object)
    np.savez_compressed(folder / FILE, imgs=shapes, latents_classes=latents, metadata=about)
    return folder


def parts(tmp_path: Path, name: str) -> tuple[LabelledSet, LabelledSet, LabelledSet]:
    benchmark = open_benchmark(f"{name}={find(card_of(name), tmp_path)}")
    assert benchmark.train is not None
    assert benchmark.validation is not None
    return benchmark.train, benchmark.validation, benchmark.tests[0]


def test_splits_are_vtabs_shares_and_the_same_for_both_tasks(tmp_path: Path) -> None:
    write(tmp_path / "dsprites")
    found = parts(tmp_path, "dsprites_orientation")
    assert [len(part) for part in found] == [1024, 128, 128]
    assert [part.split for part in found] == [
        "train-drawn-80pct",
        "validation-drawn-10pct",
        "test-drawn-10pct",
    ]
    assert sorted(key for part in found for key in part.keys) == [f"{i:06d}" for i in range(1280)]
    again = parts(tmp_path, "dsprites_location")
    assert [part.keys for part in again] == [part.keys for part in found]


@pytest.mark.parametrize(("name", "column", "values"), [("orientation", 3, 40), ("location", 4, 32)])
def test_sixteen_bins(tmp_path: Path, name: str, column: int, values: int) -> None:
    write(tmp_path / "dsprites")
    for part in parts(tmp_path, f"dsprites_{name}"):
        assert part.classes is not None
        rows = [int(key) for key in part.keys]
        wanted = [int(LATENTS[row, column] // (values / 16)) for row in rows]  # as VTAB's code divides
        assert part.classes.of.tolist() == wanted
        for i in (0, len(part) - 1):
            assert np.array_equal(part.read(i), np.stack([SHAPES[rows[i]] * 255] * 3, axis=2))
    assert set(wanted) <= set(range(16))


@pytest.mark.parametrize(
    ("latents", "shapes", "says"),
    [
        (LATENTS[:-1], SHAPES, r"has latents_classes of \(1279, 6\)"),
        (LATENTS + np.array([0, 0, 0, 40, 0, 0]), SHAPES, "says class 40 of picture 0"),
        (LATENTS, SHAPES[:, :32], r"has imgs of \(1280, 32, 64\)"),
        (LATENTS.astype(object), SHAPES, "has no readable latents_classes"),
    ],
)
def test_broken_arrays(tmp_path: Path, latents: np.ndarray, shapes: np.ndarray, says: str) -> None:
    write(tmp_path, latents, shapes)
    with pytest.raises(SightwordError, match=says) as error:
        open_benchmark(f"dsprites_orientation={tmp_path}")
    assert "\n" not in str(error.value)


def test_broken_pictures_are_told_when_they_are_read(tmp_path: Path) -> None:
    write(tmp_path, shapes=SHAPES * 2)
    (test,) = open_benchmark(f"dsprites_location={tmp_path}").tests
    with pytest.raises(SightwordError, match="has a pixel 2; wanted zeros and ones"):
        test.read(0)
    whole = (write(tmp_path) / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SightwordError, match="has no readable imgs"):
        open_benchmark(f"dsprites_location={tmp_path / FILE}")
