"""EuroSAT and RESISC45: class folders, and splits that are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.layouts.scenes import Scenes, first_of_each_class

EUROSAT = {  # folder of the archive: words of SLIP
    "AnnualCrop": "annual crop land", "Forest": "forest", "HerbaceousVegetation": "brushland or shrubland",
    "Highway": "highway or road", "Industrial": "industrial buildings or commercial buildings",
    "Pasture": "pasture land", "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings or homes or apartments", "River": "river", "SeaLake": "lake or sea",
}  # fmt: skip


def write(root: Path, names: tuple[str, ...], each: int, digits: int = 0) -> Path:
    """Files of no content but their own name."""
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(1, each + 1):
            file = f"{name}_{i:0{digits}d}.jpg" if digits else f"{name}_{i}.jpg"
            (root / name / file).write_bytes(file.encode())
    return root


def names_of(part: LabelledSet | None) -> list[str]:
    assert part is not None
    assert part.classes is not None
    for i, key in enumerate(part.keys):
        assert part.read(i) == key.partition("/")[2].encode()
    return [part.classes.names[i] for i in part.classes.of]


@pytest.mark.parametrize("below", ["eurosat", "eurosat/2750", "2750", "EuroSAT_RGB", "EuroSAT/2750"])
def test_eurosat_is_split_by_the_order_of_its_names(tmp_path: Path, below: str) -> None:
    """The first of each class as a computer sorts them: 1, 10, 11, 2, ..."""
    write(tmp_path / below, tuple(EUROSAT), 12)
    layout = Scenes("eurosat", ("2750", "EuroSAT_RGB", "EuroSAT/2750"), first_of_each_class(4, 2))
    root = find(card_of("eurosat"), tmp_path)
    assert isinstance(root, Path)
    assert layout.lies_in(root)
    benchmark = layout.open(root, card_of("eurosat"))
    (test,) = benchmark.tests
    assert benchmark.train is not None
    assert (benchmark.train.split, test.split) == ("train-first-4", "test-next-2")
    assert names_of(test) == [words for words in EUROSAT.values() for _ in range(2)]
    assert [key for key in test.keys if key.startswith("River")] == ["River/River_2.jpg", "River/River_3.jpg"]
    assert names_of(benchmark.train)[:8] == ["annual crop land"] * 4 + ["forest"] * 4
    forest = [key.partition("_")[2] for key in benchmark.train.keys if key.startswith("Forest")]
    assert forest == ["1.jpg", "10.jpg", "11.jpg", "12.jpg"]


def test_eurosat_needs_1500_of_each_class(tmp_path: Path) -> None:
    write(tmp_path, tuple(EUROSAT), 3)
    with pytest.raises(SightwordError, match="class 'AnnualCrop' holds 3 pictures; wanted at least 1500"):
        open_benchmark(f"eurosat={tmp_path}")


def test_resisc45_is_drawn_class_by_class(tmp_path: Path) -> None:
    folders = tuple(name.replace(" ", "_") for name in card_of("resisc45").classes)
    write(tmp_path / "NWPU-RESISC45", folders, 10, digits=3)
    benchmark = open_benchmark(f"resisc45={find(card_of('resisc45'), tmp_path)}")
    parts = (benchmark.train, benchmark.validation, benchmark.tests[0])
    for part, split, each in zip(
        parts, ("train-drawn-60pct", "validation-drawn-20pct", "test-drawn-20pct"), (6, 2, 2), strict=True
    ):
        assert part is not None
        assert part.split == split
        assert names_of(part) == [name for name in card_of("resisc45").classes for _ in range(each)]
    keys = [key for part in parts if part for key in part.keys]
    assert len(keys) == len(set(keys)) == 450
    test = benchmark.tests[0].keys
    assert len({key[-7:] for key in test}) > 2  # each class has a draw of its own


def test_published_lists_come_first(tmp_path: Path) -> None:
    folders = tuple(name.replace(" ", "_") for name in card_of("resisc45").classes)
    root = write(tmp_path / "resisc45", folders, 3, digits=3)
    for part, file in (("train", "airport_001"), ("val", "airport_002"), ("test", "wetland_003")):
        (root / f"resisc45-{part}.txt").write_text(f"{file}.jpg\n")
    benchmark = open_benchmark(f"resisc45={root}")
    assert benchmark.tests[0].split == "test-listed"
    assert names_of(benchmark.tests[0]) == ["wetland"]
    assert names_of(benchmark.train) == names_of(benchmark.validation) == ["airport"]
    (root / "resisc45-val.txt").write_text("airport_002.jpg\nairport_009.jpg\n")
    with pytest.raises(SightwordError, match=r"1 of the 2 pictures .* missing, first 'airport_009.jpg'"):
        open_benchmark(f"resisc45={root}")
    (root / "resisc45-val.txt").unlink()
    with pytest.raises(SightwordError, match=r"resisc45-val.txt' is missing"):
        open_benchmark(f"resisc45={root}")
