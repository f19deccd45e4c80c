"""German traffic signs: tables with semicolons, PPM pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find
from sightword.views.decode import decode

HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
TEST = {"00000.ppm": 16, "00001.ppm": 1, "00002.ppm": 38}


def ppm(seed: int) -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    return b"P6\n5 7\n255\n" + pixels.tobytes(), pixels


def table(rows: dict[str, int]) -> str:
    return "\r\n".join([HEADER, *(f"{name};5;7;1;1;4;6;{label}" for name, label in rows.items())]) + "\r\n"


def write(root: Path, training: str = "Final_Training/Images", tables: bool = True, gt: str = ".") -> Path:
    """As the three archives unpack; of each class one picture, the class being its seed."""
    images = root / "Final_Test" / "Images"
    images.mkdir(parents=True)
    for seed, name in enumerate(TEST):
        (images / name).write_bytes(ppm(seed)[0])
    (images / "GT-final_test.test.csv").write_text("Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2\n")
    (root / gt / "GT-final_test.csv").write_text(table(TEST), newline="")
    for label in range(43):
        folder = root / training / f"{label:05d}"
        folder.mkdir(parents=True)
        (folder / "00000_00000.ppm").write_bytes(ppm(100 + label)[0])
        if tables:
            (folder / f"GT-{label:05d}.csv").write_text(table({"00000_00000.ppm": label}), newline="")
    return root


@pytest.mark.parametrize(
    ("below", "training", "tables", "gt"),
    [
        ("GTSRB", "Final_Training/Images", True, "."),
        ("gtsrb/GTSRB", "Final_Training/Images", True, ".."),
        ("gtsrb/gtsrb/GTSRB", "Training", False, ".."),  # torchvision's
        ("GTSRB", "Training", True, "Final_Test/Images"),
    ],
)
def test_signs_and_numbers(tmp_path: Path, below: str, training: str, tables: bool, gt: str) -> None:
    write(tmp_path / below, training, tables, gt)
    benchmark = open_benchmark(f"gtsrb={find(card_of('gtsrb'), tmp_path)}")
    (test,) = benchmark.tests
    assert test.classes is not None
    assert test.classes.of.tolist() == list(TEST.values())
    for i, key in enumerate(test.keys):
        data = test.read(i)
        assert isinstance(data, bytes)
        assert np.array_equal(decode(data, key), ppm(i)[1])
    assert benchmark.train is not None
    assert benchmark.train.classes is not None
    assert benchmark.train.classes.of.tolist() == list(range(43))
    assert benchmark.train.read(42) == ppm(142)[0]
    assert benchmark.train.clusters[42] == "00042/00000"  # the drive past one sign


def test_the_card_counts_as_the_publisher_does() -> None:
    """Numbers of the publisher's list of classes that no other order would give."""
    names = card_of("gtsrb").classes
    for number, words in {
        0: "20 kph", 8: "120 kph", 12: "priority road", 13: "yield", 14: "stop", 17: "no entry",
        25: "road work", 33: "right turn", 34: "left turn", 38: "keep right",
        40: "traffic circle", 42: "trucks has ended",
    }.items():  # fmt: skip
        assert words in names[number]


def test_test_pictures_alone_do(tmp_path: Path) -> None:
    root = write(tmp_path / "GTSRB")
    (root / "Final_Training").rename(tmp_path / "elsewhere")
    assert open_benchmark(f"gtsrb={root}").train is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (";16\r", ";43\r", "has the label 43; wanted one of 43 classes"),
        (";16\r", ";stop\r", "has 'stop' where a number belongs"),
        (";ClassId", "", "has a row without Filename or ClassId"),
        ("00002.ppm", "00009.ppm", "1 of the 3 pictures .* are missing below .*, first '00009.ppm'"),
    ],
)
def test_broken_tables(tmp_path: Path, old: str, new: str, says: str) -> None:
    root = write(tmp_path / "GTSRB")
    (root / "GT-final_test.csv").write_text(table(TEST).replace(old, new), newline="")
    with pytest.raises(SightwordError, match=says):
        open_benchmark(f"gtsrb={root}")


def test_missing_parts(tmp_path: Path) -> None:
    root = write(tmp_path / "GTSRB")
    (root / "Final_Training" / "Images" / "00007").rename(tmp_path / "00007")
    with pytest.raises(SightwordError, match="holds 42 class folders; wanted 43"):
        open_benchmark(f"gtsrb={root}")
    (root / "GT-final_test.csv").unlink()
    with pytest.raises(SightwordError, match=r"nothing at .*GT-final_test.csv"):
        open_benchmark(f"gtsrb={root}")
