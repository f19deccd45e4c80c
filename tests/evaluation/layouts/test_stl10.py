"""STL-10's binaries: column by column, labels from 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

# rows x columns x channels, as seen
PICTURES = np.random.default_rng(8).integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)


def columns(picture: np.ndarray) -> bytes:
    """All red bytes first; of each channel the first column from top to bottom, then the second."""
    return bytes(picture[row, col, channel] for channel in range(3) for col in range(96) for row in range(96))


def write(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "test_X.bin").write_bytes(columns(PICTURES[0]) + columns(PICTURES[1]))
    (folder / "test_y.bin").write_bytes(b"\x0a\x01")
    (folder / "train_X.bin").write_bytes(columns(PICTURES[2]))
    (folder / "train_y.bin").write_bytes(b"\x08")
    (folder / "unlabeled_X.bin").write_bytes(b"not looked at")
    return folder


@pytest.mark.parametrize("below", ["stl10", "stl10_binary", "stl10/stl10_binary"])
def test_pictures_stand_upright(tmp_path: Path, below: str) -> None:
    write(tmp_path / below)
    benchmark = open_benchmark(f"stl10={find(card_of('stl10'), tmp_path)}")
    (test,) = benchmark.tests
    assert benchmark.train is not None
    for part, rows, names in ((test, (0, 1), ["truck", "airplane"]), (benchmark.train, (2,), ["monkey"])):
        assert part.classes is not None
        assert [part.classes.names[i] for i in part.classes.of] == names  # class_names.txt, from 1
        for i, row in enumerate(rows):
            assert np.array_equal(part.read(i), PICTURES[row])


def test_the_card_counts_as_class_names_txt() -> None:
    publishers = "airplane bird car cat deer dog horse monkey ship truck"
    assert card_of("stl10").classes == tuple(publishers.split())


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("test_X.bin", b"\x00" * 27648, "has 27,648 bytes; wanted 55,296 for 2 entries"),
        ("test_y.bin", b"\x00\x01", "says class -1 of picture 0"),
        ("train_y.bin", b"\x0b", "says class 10 of picture 0"),
        ("train_y.bin", b"", "is empty"),
        ("train_y.bin", None, "lacks train_y.bin"),
    ],
)
def test_broken_files(tmp_path: Path, file: str, content: bytes | None, says: str) -> None:
    folder = write(tmp_path / "stl10")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(SightwordError, match=says):
        open_benchmark(f"stl10={folder}")
