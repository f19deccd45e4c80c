"""Which part of an ImageFolder is the test, and on which settings are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from colour_sets import write_folder

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_beside_a_test_settings_are_chosen_on_it(tmp_path: Path, name: str) -> None:
    root = write_folder(tmp_path / "x", each=1, splits=("train", name, "test"))
    benchmark = open_benchmark(str(root))
    assert [test.split for test in benchmark.tests] == ["test"]
    assert benchmark.validation is not None
    assert benchmark.train is not None
    assert (benchmark.validation.split, benchmark.train.split) == (name, "train")
    assert benchmark.validation.read(0) == (root / name / benchmark.validation.keys[0]).read_bytes()


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_without_a_test_it_is_the_test(tmp_path: Path, name: str) -> None:
    benchmark = open_benchmark(str(write_folder(tmp_path / "x", each=1, splits=("train", name))))
    assert [test.split for test in benchmark.tests] == [name]
    assert benchmark.validation is None


def test_two_of_them_beside_a_test_are_one_too_many(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "x", each=1, splits=("val", "validation", "test"))
    with pytest.raises(SightwordError, match="holds val and validation beside test; leave one of them there"):
        open_benchmark(str(root))
