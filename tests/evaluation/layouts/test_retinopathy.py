"""Diabetic retinopathy: Kaggle's tables, with and without the test part's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find
from sightword.evaluation.labelled import LabelledSet

LEVELS = {f"{patient}_{eye}": patient % 5 for patient in range(10, 20) for eye in ("left", "right")}
ANSWERS = {"1_left": (0, "Private"), "1_right": (3, "Private"), "2_left": (4, "Public")}


def write(root: Path, answers: bool = True) -> Path:
    rows = [f"{name},{level}" for name, level in LEVELS.items()]
    others = [f"{name},{level},{usage}" for name, (level, usage) in ANSWERS.items()]
    for folder, names in (("train", LEVELS), ("test", ANSWERS)):
        (root / folder).mkdir(parents=True)
        for name in names:
            (root / folder / f"{name}.jpeg").write_bytes(f"{folder} {name}".encode())
    (root / "trainLabels.csv").write_text("\n".join(["image,level", *rows]) + "\n")
    if answers:
        (root / "retinopathy_solution.csv").write_text("\n".join(["image,level,Usage", *others]) + "\n")
    return root


def levels_of(part: LabelledSet | None) -> dict[str, int]:
    assert part is not None
    assert part.classes is not None
    for i, key in enumerate(part.keys):
        folder, _, name = key.removesuffix(".jpeg").partition("/")
        assert part.read(i) == f"{folder} {name}".encode()
        assert part.clusters[i] == name.split("_")[0]  # both eyes of one patient
    return dict(zip(part.keys, part.classes.of.tolist(), strict=True))


def test_public_is_validation_and_private_is_test(tmp_path: Path) -> None:
    write(tmp_path / "diabetic-retinopathy-detection")
    benchmark = open_benchmark(f"diabetic_retinopathy={find(card_of('diabetic_retinopathy'), tmp_path)}")
    (test,) = benchmark.tests
    assert levels_of(test) == {"test/1_left.jpeg": 0, "test/1_right.jpeg": 3}
    assert levels_of(benchmark.validation) == {"test/2_left.jpeg": 4}
    assert levels_of(benchmark.train) == {f"train/{name}.jpeg": level for name, level in LEVELS.items()}
    assert test.split == "test"


def test_without_answers_a_fifth_of_the_patients_is_the_test(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"diabetic_retinopathy={write(tmp_path, answers=False)}")
    (test,) = benchmark.tests
    assert test.split == "test-drawn-20pct"
    assert len(test) == 4
    found = {**levels_of(test), **levels_of(benchmark.train)}
    assert found == {f"train/{name}.jpeg": level for name, level in LEVELS.items()}
    assert benchmark.train is not None
    assert not set(test.clusters) & set(benchmark.train.clusters)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("trainLabels.csv", "12_left,2", "12_left,5", "has the label 5; wanted one of 5"),
        ("trainLabels.csv", "12_left,2", "12_left,", "wants rows of image and level"),
        ("trainLabels.csv", "12_left,2", "99_left,2", "1 of the 20 pictures .* first 'train/99_left.jpeg'"),
        ("retinopathy_solution.csv", ",Public", "", "wants a Usage of Public or Private"),
    ],
)
def test_broken_tables(tmp_path: Path, file: str, old: str, new: str, says: str) -> None:
    path = write(tmp_path) / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SightwordError, match=says):
        open_benchmark(f"diabetic_retinopathy={tmp_path}")
