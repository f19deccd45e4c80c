"""What is tested on and was trained on is counted, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import scenery, stored
from small_shard import write_tar

from sightword.config import Config
from sightword.corpora.checking import copies as room
from sightword.corpora.checking.copies import Copies
from sightword.evaluation.labelled import LabelledSet
from sightword.recipes import general


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A run on ten pictures of 120 pixels."""
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))
    files = {}
    for number in range(10):
        files[f"{number}.jpg"] = stored(scenery(120, 90, number), "JPEG", quality=95)
        files[f"{number}.txt"] = b"a scene"
    plain = general.plain(general.MODEL)
    data = replace(plain.data, path=str(write_tar(tmp_path / "corpus.tar", files)))
    return replace(plain, data=data)


def set_of(*pictures: bytes | np.ndarray) -> LabelledSet:
    keys = tuple(str(number) for number in range(len(pictures)))
    return LabelledSet("tests", "test", keys, lambda i: pictures[i])


def own(seed: int) -> bytes:
    return stored(scenery(120, 90, seed), "JPEG", quality=95)


def test_bytes_looks_and_pixels_are_found(config: Config) -> None:
    said: list[str] = []
    shrunk = stored(scenery(120, 90, 7).resize((80, 60)), "WEBP", quality=80)
    pixels = np.asarray(scenery(120, 90, 2))
    copies, test = Copies(config, said.append), set_of(own(3), shrunk, pixels, b"no picture", own(99), own(3))
    assert copies(test) == 4  # twice the same test picture are two that were seen
    assert copies(test) == 4  # another task asks again, and is told nothing more
    assert said == [
        "tests/test: 4 of 6 test pictures (66.7 %) are in the training data, or look the same; scores on "
        "them may be too good"
    ]


def test_nothing_is_looked_at_twice(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    first = set_of(own(3), own(99))
    assert Copies(config, said.append)(first) == 1

    def never(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(Copies, "_look", never)
    assert Copies(config, said.append)(set_of(own(50), own(51))) == 0  # the training data is remembered
    assert len(said) == 1
    monkeypatch.setattr(room, "prints_of", never)
    assert Copies(config, said.append)(first) == 1
    assert len(said) == 2


def test_other_training_data_is_another_answer(config: Config, tmp_path: Path) -> None:
    test = set_of(own(3))
    assert Copies(config, print)(test) == 1
    files = {"0.jpg": own(40), "0.txt": b"a scene"}
    other = replace(config.data, path=str(write_tar(tmp_path / "other.tar", files)))
    assert Copies(replace(config, data=other), print)(test) == 0
    both = replace(other, sight=config.data.path)
    assert Copies(replace(config, data=both), print)(test) == 1


def test_what_cannot_be_compared_is_said_once(config: Config) -> None:
    said: list[str] = []
    gone = Copies(replace(config, data=replace(config.data, path="nowhere.tar")), said.append)
    assert [gone(set_of(own(3))), gone(set_of(own(4)))] == [None, None]
    assert len(said) == 1
    assert "not compared with the training pictures" in said[0]
    many = Copies(config, said.append, most=9)
    assert many(set_of(own(3))) is None
    assert "there are 10, more than the 9" in said[1]
