"""CIFAR's binary records and Python pickles, written operation by operation."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.cards import card_of
from sightword.evaluation.finding import find
from sightword.evaluation.labelled import LabelledSet

# What a person sees: rows x columns x channels.
PICTURES = np.random.default_rng(5).integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)


def planes(picture: np.ndarray) -> bytes:
    """The publisher's order: 1,024 red bytes row by row, then green, then blue."""
    return b"".join(picture[:, :, channel].tobytes() for channel in range(3))


def records(rows: Sequence[int], labels: Sequence[bytes]) -> bytes:
    return b"".join(label + planes(PICTURES[row]) for row, label in zip(rows, labels, strict=True))


def text(word: bytes) -> bytes:
    """SHORT_BINSTRING: a string of Python 2."""
    return b"U" + bytes((len(word),)) + word


def python_2(rows: Sequence[int], lists: dict[bytes, Sequence[int]]) -> bytes:
    """A dict of an array of bytes, shape (n, 3072), of labels and file names, by Python 2's cPickle."""
    data = b"".join(planes(PICTURES[row]) for row in rows)
    out = b"\x80\x02}q\x01(" + text(b"data") + b"q\x02"
    out += (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
        + text(b"b")
        + b"\x87Rq\x05"
    )
    out += b"(K\x01K" + bytes((len(rows),)) + b"M" + struct.pack("<H", 3072) + b"\x86"
    out += b"cnumpy\ndtype\nq\x06" + text(b"u1") + b"K\x00K\x01\x87Rq\x07"
    out += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    out += b"\x89T" + struct.pack("<I", len(data)) + data + b"tb"
    for name, values in lists.items():
        out += text(name) + b"]q\x08(" + b"".join(b"K" + bytes((value,)) for value in values) + b"e"
    return out + text(b"filenames") + b"]q\x09(" + text(b"aquarium_fish_s_000018.png") + b"eu."


def ten(folder: Path) -> Path:
    """CIFAR-10's binary version: five batches of two pictures, a test batch of two."""
    folder.mkdir(parents=True)
    for batch in range(5):
        rows = (2 * batch, 2 * batch + 1)
        made = records(rows, [bytes((batch,)), bytes((9 - batch,))])
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(made)
    (folder / "test_batch.bin").write_bytes(records((10, 11), [b"\x06", b"\x00"]))
    return folder


def seen(part: LabelledSet | None, rows: Sequence[int], labels: Sequence[int]) -> None:
    assert part is not None
    assert part.classes is not None
    assert part.classes.of.tolist() == list(labels)
    for i, row in enumerate(rows):
        assert np.array_equal(part.read(i), PICTURES[row])


@pytest.mark.parametrize("below", ["cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"])
def test_cifar_10_binary(tmp_path: Path, below: str) -> None:
    ten(tmp_path / below)
    place = find(card_of("cifar10"), tmp_path)
    benchmark = open_benchmark(f"cifar10={place}")
    (test,) = benchmark.tests
    seen(test, (10, 11), (6, 0))
    seen(benchmark.train, range(10), (0, 9, 1, 8, 2, 7, 3, 6, 4, 5))
    assert test.classes is not None
    assert [test.classes.names[i] for i in test.classes.of] == ["frog", "airplane"]


def test_cifar_100_binary_has_the_fine_labels(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "train.bin").write_bytes(records((0, 1), [b"\x13\x00", b"\x00\x63"]))  # coarse, fine
    (folder / "test.bin").write_bytes(records((2,), [b"\x05\x29"]))
    benchmark = open_benchmark(f"cifar100={folder}")
    seen(benchmark.tests[0], (2,), (41,))
    seen(benchmark.train, (0, 1), (0, 99))
    assert benchmark.tests[0].classes is not None
    assert benchmark.tests[0].classes.names[41] == "lawn mower"  # fine_label_names.txt, from 0


def test_the_handwritten_pickle_is_one() -> None:
    """Python's own reader, on the test's own bytes, sees what the publisher's readme promises."""
    made = pickle.loads(python_2((0, 1), {b"labels": (3, 8)}), encoding="bytes")
    assert made[b"data"].shape == (2, 3072)
    assert made[b"data"][1, 1024] == PICTURES[1, 0, 0, 1]
    assert made[b"labels"] == [3, 8]


def test_python_versions(tmp_path: Path) -> None:
    folder = tmp_path / "cifar100" / "cifar-100-python"
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(python_2((0, 1), {b"coarse_labels": (19, 0), b"fine_labels": (0, 99)}))
    (folder / "test").write_bytes(python_2((2,), {b"fine_labels": (41,), b"coarse_labels": (5,)}))
    benchmark = open_benchmark(f"cifar100={find(card_of('cifar100'), tmp_path)}")
    seen(benchmark.tests[0], (2,), (41,))
    seen(benchmark.train, (0, 1), (0, 99))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for batch in range(5):
        made = python_2((batch, batch + 1), {b"labels": (batch, 9)})
        (folder / f"data_batch_{batch + 1}").write_bytes(made)
    pixels = np.stack([np.frombuffer(planes(PICTURES[row]), np.uint8) for row in (7, 8)])
    again = pickle.dumps({"data": pixels, "labels": [4, 2]}, protocol=4)  # saved again by Python 3
    (folder / "test_batch").write_bytes(again)
    benchmark = open_benchmark(f"cifar10={folder}")
    seen(benchmark.tests[0], (7, 8), (4, 2))
    assert benchmark.train is not None
    assert benchmark.train.classes is not None
    assert benchmark.train.classes.of.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert np.array_equal(benchmark.train.read(9), PICTURES[5])


WHOLE = python_2((2,), {b"fine_labels": (41,)})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"cos\nsystem\n(S'touch /tmp/never'\ntR.", "wants to import os.system"),
        (b"\x80\x02cbuiltins\nexec\nU\x03x=1\x85R.", "wants to import builtins.exec"),
        (WHOLE[:-9], "ends before its end was told"),
        (WHOLE[:400], "ends before its end was told"),
        (b"no pickle at all", "is not taken"),
        (b"", "is not taken"),
        (WHOLE.replace(b"M\x00\x0c\x86", b"M\x01\x0c\x86"), "promises an array"),
        (python_2((2,), {b"fine_labels": (41, 42)}), "for 2 labels"),
        (python_2((2,), {b"fine_labels": (100,)}), "says class 100 of picture 0"),
        (python_2((2,), {b"labels": (1,)}), "holds no 'data' and 'fine_labels'"),
        (pickle.dumps([1, 2], protocol=2), "holds a list, not a dict"),
    ],
)
def test_broken_or_wicked_pickles(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "train").write_bytes(WHOLE)
    (tmp_path / "test").write_bytes(content)
    with pytest.raises(SightwordError, match=says) as error:
        open_benchmark(f"cifar100={tmp_path}")
    assert "\n" not in str(error.value)


def test_broken_records(tmp_path: Path) -> None:
    folder = ten(tmp_path / "cifar10")
    whole = (folder / "data_batch_3.bin").read_bytes()
    (folder / "data_batch_3.bin").write_bytes(whole[:-1])
    with pytest.raises(SightwordError, match=r"3.bin' has 6,145 bytes; wanted whole records of 3,073"):
        open_benchmark(f"cifar10={folder}")
    (folder / "data_batch_3.bin").write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(SightwordError, match="says class 10 of picture 0"):
        open_benchmark(f"cifar10={folder}")
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(SightwordError, match=r"lacks data_batch_3.bin"):
        open_benchmark(f"cifar10={folder}")


def test_the_cards_count_as_the_publisher_does() -> None:
    """batches.meta.txt is in this order; fine_label_names.txt is in the order of the alphabet."""
    ten = "airplane automobile bird cat deer dog frog horse ship truck"
    assert card_of("cifar10").classes == tuple(ten.split())
    fine = [name.replace(" ", "_") for name in card_of("cifar100").classes]
    assert fine == sorted(fine)
    assert (len(fine), fine[0], fine[1], fine[99]) == (100, "apple", "aquarium_fish", "worm")
