"""SmallNORB's binary matrices, written as their page describes them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find

TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training"
TEST = "smallnorb-5x01235x9x18x6x2x96x96-testing"
PAIRS = np.random.default_rng(4).integers(0, 256, (10, 2, 96, 96)).astype(np.uint8)
# instance, elevation (0 to 8), azimuth (0, 2, ... 34), lighting
FACTS = [(i % 10, i % 9, 2 * ((7 * i) % 18), i % 6) for i in range(10)]


def dat(pairs: np.ndarray) -> bytes:
    return struct.pack("<6I", 0x1E3D4C55, 4, *pairs.shape) + pairs.tobytes()


def info(facts: list[tuple[int, ...]]) -> bytes:
    """Of fewer than three axes three sizes are written all the same, the last being 1."""
    data = b"".join(struct.pack("<4i", *fact) for fact in facts)
    return struct.pack("<5I", 0x1E3D4C54, 2, len(facts), 4, 1) + data


def write(folder: Path, suffix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    for name, cut in ((TEST, slice(0, 6)), (TRAIN, slice(6, 10))):
        (folder / f"{name}-dat.mat{suffix}").write_bytes(pack(dat(PAIRS[cut])))
        (folder / f"{name}-info.mat{suffix}").write_bytes(pack(info(FACTS[cut])))
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("name", "unit", "first"), [("azimuth", 20, 0), ("elevation", 5, 30)])
def test_the_left_picture_and_how_it_is_turned(
    tmp_path: Path, name: str, unit: int, first: int, suffix: str
) -> None:
    write(tmp_path / "smallnorb", suffix)
    benchmark = open_benchmark(f"smallnorb_{name}={find(card_of(f'smallnorb_{name}'), tmp_path)}")
    (test,), train, validation = benchmark.tests, benchmark.train, benchmark.validation
    assert train is not None
    assert validation is not None
    assert (test.split, validation.split) == ("test-drawn-50pct", "validation-drawn-50pct")
    assert len(test) == len(validation) == 3
    assert sorted(test.keys + validation.keys) == [f"{i:06d}" for i in range(6)]
    for part, start in ((test, 0), (validation, 0), (train, 6)):
        assert part.classes is not None
        for i, key in enumerate(part.keys):
            _, elevation, azimuth, _ = FACTS[start + int(key)]
            degrees = 10 * azimuth if name == "azimuth" else 30 + 5 * elevation
            assert part.classes.names[part.classes.of[i]] == f"{degrees} degrees"
            left = PAIRS[start + int(key), 0]
            assert np.array_equal(part.read(i), np.stack([left] * 3, axis=2))
    assert card_of(f"smallnorb_{name}").classes[1] == f"{first + unit} degrees"


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("dat", dat(PAIRS[:6])[:-1], "wanted 110,616 for 6 entries"),
        ("dat", b"\x54" + dat(PAIRS[:6])[1:], "begins with magic 0x1E3D4C54"),
        ("dat", dat(PAIRS[:6, :1]), r"is a matrix of \(6, 1, 96, 96\)"),
        ("info", info(FACTS[:5]), "has 5 rows for 6 pairs"),
        ("info", info([*FACTS[:5], (0, 0, 3, 0)]), "says the azimuth 3"),
        ("info", info([*FACTS[:5], (0, 0, 36, 0)]), "says class 18 of picture 5"),
        ("info", None, "lacks .*info.mat"),
    ],
)
def test_broken_files(tmp_path: Path, file: str, content: bytes | None, says: str) -> None:
    path = write(tmp_path) / f"{TEST}-{file}.mat"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SightwordError, match=says):
        open_benchmark(f"smallnorb_azimuth={tmp_path}")
