from __future__ import annotations

import pytest

from sightword.errors import SightwordError
from sightword.pairs.lists.splits import choose_split, split_of


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00005.parquet", "train"),
        ("validation-00000-of-00001-0a1b2c.parquet", "validation"),
        ("default/test/0000.parquet", "test"),
        ("train.parquet", "train"),
        ("train/", "train"),
        ("part-00000.parquet", ""),
        ("0000.parquet", ""),
        ("training.parquet", ""),
    ],
)
def test_names_tell_of_splits(path, split):
    assert split_of(path) == split


def test_train_is_read_unasked():
    assert choose_split(["test", "train"], "test", "x") == ("test", "")
    assert choose_split(["test"], "", "x") == ("test", "")
    split, note = choose_split(["train", "test", "train"], "", "x")
    assert split == "train"
    assert note == "of the splits test, train, 'train' is read (--split names another)"
    with pytest.raises(SightwordError, match="has the splits test, val; choose one with --split"):
        choose_split(["val", "test"], "", "x")
    with pytest.raises(SightwordError, match="did you mean train"):
        choose_split(["train", "test"], "trian", "x")
