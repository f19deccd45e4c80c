"""idx files as MNIST's publisher describes them, written byte by byte."""

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

PIXELS = np.random.default_rng(3).integers(0, 256, (5, 4, 3)).astype(np.uint8)  # not square: order shows
LABELS = (7, 2, 9, 0, 1)


def images(pixels: np.ndarray = PIXELS) -> bytes:
    return struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes()


def labels(values: tuple[int, ...] = LABELS) -> bytes:
    return struct.pack(">2I", 0x801, len(values)) + bytes(values)


def write(folder: Path, dot: str = "-", suffix: str = "") -> Path:
    """All four files; the training part holds the same pictures backwards."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    for part, step in (("t10k", 1), ("train", -1)):
        (folder / f"{part}-images{dot}idx3-ubyte{suffix}").write_bytes(pack(images(PIXELS[::step])))
        (folder / f"{part}-labels{dot}idx1-ubyte{suffix}").write_bytes(pack(labels(LABELS[::step])))
    return folder


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", "mnist/MNIST/raw"),
        ("fashion_mnist", "dataset-fashion-mnist"),
        ("fashion_mnist", "FashionMNIST/raw"),
    ],
)
def test_pictures_and_labels(tmp_path: Path, name: str, below: str, dot: str, suffix: str) -> None:
    write(tmp_path / below, dot, suffix)
    place = find(card_of(name), tmp_path)
    assert isinstance(place, Path)
    benchmark = open_benchmark(f"{name}={place}")
    (test,) = benchmark.tests
    for part, step in ((test, 1), (benchmark.train, -1)):
        assert part is not None
        assert part.classes is not None
        assert part.classes.names == card_of(name).classes
        assert part.classes.of.tolist() == list(LABELS[::step])
        for i, picture in enumerate(PIXELS[::step]):
            found = part.read(i)
            assert isinstance(found, np.ndarray)
            assert found.shape == (4, 3, 3)
            for channel in range(3):
                assert found[:, :, channel].tolist() == picture.tolist()
    assert (test.split, test.templates) == ("test", card_of(name).templates)


def test_nothing_large_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """A cut .gz is found when its first picture is read; a plain file is mapped and checked at once."""
    write(tmp_path / "mnist", suffix=".gz")
    cut = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    cut.write_bytes(gzip.compress(images()[:-1]))
    (test,) = open_benchmark(f"mnist={tmp_path / 'mnist'}").tests
    with pytest.raises(SightwordError, match="unpacks to 75 bytes; wanted 76 for 5 entries"):
        test.read(0)
    cut.write_bytes(gzip.compress(images())[:-12])
    (test,) = open_benchmark(f"mnist={tmp_path / 'mnist'}").tests
    with pytest.raises(SightwordError, match="cannot be unpacked"):
        test.read(0)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("t10k-images-idx3-ubyte", images()[:-1], "has 75 bytes; wanted 76"),
        ("t10k-images-idx3-ubyte", images()[:9], "is cut short: 9 bytes"),
        ("t10k-images-idx3-ubyte", b"\x00\x00\x0d\x03" + images()[4:], "begins with 00 00 0d 03"),
        ("t10k-labels-idx1-ubyte", labels((7, 2, 9, 0)), "has 4 labels for 5 pictures"),
        ("train-labels-idx1-ubyte", labels((7, 2, 10, 0, 1)), "says class 10 of picture 2"),
        ("train-labels-idx1-ubyte", None, "lacks train-labels-idx1-ubyte"),
    ],
)
def test_broken_files(tmp_path: Path, file: str, content: bytes | None, says: str) -> None:
    folder = write(tmp_path / "mnist")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(SightwordError, match=says) as error:
        open_benchmark(f"mnist={folder}")
    assert "\n" not in str(error.value)


def test_test_files_alone_do(tmp_path: Path) -> None:
    folder = write(tmp_path / "mnist")
    for file in folder.glob("train*"):
        file.unlink()
    assert open_benchmark(f"mnist={folder}").train is None
