"""SVHN's MATLAB files, written byte by byte: version 5, compressed elements, columns first."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark

PICTURES = np.random.default_rng(2).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
UINT8, INT32, UINT32, MATRIX, COMPRESSED = 2, 5, 6, 14, 15  # data types of the format
CLASS_UINT8 = 9


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<2I", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def variable(name: bytes, shape: Sequence[int], data: bytes) -> bytes:
    """A compressed array of bytes."""
    parts = (
        element(UINT32, struct.pack("<2I", CLASS_UINT8, 0))
        + element(INT32, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, name)
        + element(UINT8, data)
    )
    packed = zlib.compress(element(MATRIX, parts))
    return struct.pack("<2I", COMPRESSED, len(packed)) + packed


def mat(pictures: np.ndarray, labels: Sequence[int], x: bytes = b"X") -> bytes:
    """X of 32 x 32 x 3 x n, the row running fastest, and y of n x 1."""
    head = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    data = b"".join(
        picture[:, col, channel].tobytes()
        for picture in pictures
        for channel in range(3)
        for col in range(32)
    )
    return (
        head + variable(x, (32, 32, 3, len(pictures)), data) + variable(b"y", (len(labels), 1), bytes(labels))
    )


def test_ten_means_zero(tmp_path: Path) -> None:
    (tmp_path / "test_32x32.mat").write_bytes(mat(PICTURES[:3], (10, 1, 9)))
    (tmp_path / "train_32x32.mat").write_bytes(mat(PICTURES[3:], (5,)))
    benchmark = open_benchmark(f"svhn={tmp_path}")
    (test,) = benchmark.tests
    assert test.classes is not None
    assert [test.classes.names[i] for i in test.classes.of] == ["zero", "one", "nine"]
    for i in range(3):
        assert np.array_equal(test.read(i), PICTURES[i])
    assert benchmark.train is not None
    assert benchmark.train.classes is not None
    assert benchmark.train.classes.of.tolist() == [5]
    assert np.array_equal(benchmark.train.read(0), PICTURES[3])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (mat(PICTURES, (1, 2, 3)), "holds X of .* and 3 labels"),
        (mat(PICTURES, (1, 2, 0, 4)), "says class -1 of picture 2"),
        (mat(PICTURES, (1, 2, 11, 4)), "says class 11 of picture 2"),
        (mat(PICTURES, (1, 2, 3, 4), x=b"Z"), "holds X of None"),
        (mat(PICTURES, (1, 2, 3, 4))[:5000], "test_32x32.mat'"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "test_32x32.mat").write_bytes(content)
    with pytest.raises(SightwordError, match=says) as error:
        open_benchmark(f"svhn={tmp_path}")
    assert "\n" not in str(error.value)
