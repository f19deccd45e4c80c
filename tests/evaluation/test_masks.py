from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from masked_folders import NAMES, regions, write_ade20k, write_generic, write_voc
from PIL import Image

from sightword.errors import BadSample, SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.masks import IGNORED, MaskedSet, read_mask
from sightword.views.decode import decode


def expected(seed: int) -> np.ndarray:
    found = regions(seed).astype(np.int64)
    found[:3, :3] = IGNORED
    return found


def check(masked: MaskedSet, seeds: list[int]) -> None:
    assert len(masked) == len(seeds)
    for i, seed in enumerate(seeds):
        np.testing.assert_array_equal(masked.mask(i), expected(seed))
        picture = decode(masked.read(i), masked.keys[i])  # type: ignore[arg-type]
        brightest = picture.astype(int).argmax(axis=2)
        assert (brightest == regions(seed)).mean() > 0.95  # the picture is the mask's own


def test_a_plain_folder(tmp_path: Path) -> None:
    benchmark = open_benchmark(str(write_generic(tmp_path / "shapes", {"train": 5, "test": 3})))
    test, train = benchmark.tests[0], benchmark.train
    assert isinstance(test, MaskedSet)
    assert isinstance(train, MaskedSet)
    assert (test.name, test.split, train.split, test.regions) == ("shapes", "test", "train", NAMES)
    assert test.probed is None
    check(train, [0, 1, 2, 3, 4])
    check(test, [100, 101, 102])


def test_three_parts_give_a_validation_part(tmp_path: Path) -> None:
    benchmark = open_benchmark(str(write_generic(tmp_path / "x", {"train": 3, "val": 2, "test": 1})))
    assert [one.split for one in benchmark.tests] == ["test"]
    assert benchmark.train is not None
    assert isinstance(benchmark.train, MaskedSet)
    assert isinstance(benchmark.train.validation, MaskedSet)
    check(benchmark.train.validation, [100, 101])


def test_ade20k(tmp_path: Path) -> None:
    benchmark = open_benchmark(str(write_ade20k(tmp_path / "ADEChallengeData2016")))
    test, train = benchmark.tests[0], benchmark.train
    assert isinstance(test, MaskedSet)
    assert isinstance(train, MaskedSet)
    assert test.regions == NAMES
    assert test.split == "validation"
    assert test.keys[0] == "validation/ADE_val_00000000"
    check(train, [0, 1, 2, 3])
    check(test, [0, 1, 2])


def test_pascal_voc(tmp_path: Path) -> None:
    benchmark = open_benchmark(str(write_voc(tmp_path / "VOC2012")))
    test, train = benchmark.tests[0], benchmark.train
    assert isinstance(test, MaskedSet)
    assert isinstance(train, MaskedSet)
    assert train.keys == ("2007_000000", "2007_000001", "2007_000002")
    check(train, [0, 1, 2])
    check(test, [10, 11, 12])


def test_the_hash_is_of_masks_too(tmp_path: Path) -> None:
    root = write_generic(tmp_path / "x", {"train": 2, "test": 2})
    first = open_benchmark(str(root)).tests[0].data_hash
    assert open_benchmark(str(root)).tests[0].data_hash == first
    Image.fromarray(np.zeros((30, 42), dtype=np.uint8)).save(root / "masks/test/1.png")
    assert open_benchmark(str(root)).tests[0].data_hash != first


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    root = write_generic(tmp_path / "x", {"train": 2, "test": 2})
    (root / "classnames.txt").rename(root / "names.txt")
    with pytest.raises(SightwordError, match=r"no classnames\.txt"):
        open_benchmark(str(root))
    (root / "names.txt").rename(root / "classnames.txt")
    (root / "images/test/1.png").unlink()
    with pytest.raises(SightwordError, match=r"test/1\.png' has no picture"):
        open_benchmark(str(root))
    with pytest.raises(SightwordError, match="none to test on"):
        open_benchmark(str(write_generic(tmp_path / "y", {"train": 2})))


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_a_mask_of_other_classes_is_an_error_and_a_broken_one_a_bad_sample() -> None:
    with pytest.raises(SightwordError, match="class 3, and there are names of 3 classes"):
        read_mask(png(np.full((4, 4), 3, dtype=np.uint8)), "k", 0, 3)
    with pytest.raises(SightwordError, match="class 4"):
        read_mask(png(np.full((4, 4), 4, dtype=np.uint8)), "k", 1, 3)
    assert (read_mask(png(np.full((4, 4), 255, dtype=np.uint8)), "k", 0, 3) == IGNORED).all()
    with pytest.raises(BadSample, match="several channels"):
        read_mask(png(np.zeros((4, 4, 3), dtype=np.uint8)), "k", 0, 3)
    with pytest.raises(BadSample, match="not a readable mask"):
        read_mask(png(np.random.default_rng(0).integers(0, 3, (40, 40), dtype=np.uint8))[:150], "k", 0, 3)
