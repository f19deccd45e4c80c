"""Pictures that are tested on are found in a corpus, as the same bytes and as copies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import scenery, stored, texture
from small_shard import write_tar

from sightword.corpora.checking.check import check
from sightword.corpora.checking.checked import CheckOptions
from sightword.corpora.checking.contamination import _same_files
from sightword.errors import SightwordError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Ten pictures of 120 pixels."""
    files = {}
    for number in range(10):
        files[f"{number}.jpg"] = stored(scenery(120, 90, number), "JPEG", quality=95)
        files[f"{number}.txt"] = b"a scene"
    return write_tar(tmp_path / "corpus.tar", files)


def class_folder(root: Path) -> Path:
    """A test set of five: one of the same bytes, one shrunk copy, one blank, one broken, one of its own."""
    folder = root / "tests" / "scenes"
    folder.mkdir(parents=True)
    (folder / "same.jpg").write_bytes(stored(scenery(120, 90, 3), "JPEG", quality=95))
    (folder / "copy.webp").write_bytes(stored(scenery(120, 90, 7).resize((80, 60)), "WEBP", quality=80))
    (folder / "blank.png").write_bytes(stored(texture(20, 20).point(lambda _: 9)))
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "own.png").write_bytes(stored(scenery(120, 90, 99)))
    return root / "tests"


def test_copies_of_test_pictures_are_problems(corpus: Path, tmp_path: Path) -> None:
    tests = str(class_folder(tmp_path))
    found = check(str(corpus), tmp_path / "out", CheckOptions(against=(tests,), processes=1))
    (against,) = found.against
    assert (against.pictures, against.unreadable, against.blank) == (5, 1, 1)
    assert (against.seen, against.training_pictures) == (2, 2)
    assert against.seen_share == 2 / 5
    assert found.exit_code == 1
    listed = [json.loads(line) for line in (tmp_path / "out" / "check.jsonl").read_text().splitlines()]
    assert [(entry["kind"], entry["key"]) for entry in listed] == [("in-test-set", "3"), ("in-test-set", "7")]
    assert "same bytes as 'scenes/same.jpg'" in listed[0]["reason"]
    assert "looks like 'scenes/copy.webp'" in listed[1]["reason"]
    assert "2 of 5 test pictures (40.00%)" in against.line()


def test_a_corpus_of_its_own_is_whole(corpus: Path, tmp_path: Path) -> None:
    files = {f"{n}.png": stored(scenery(60, 60, 50 + n)) for n in range(4)}
    files |= {f"{n}.txt": b"another" for n in range(4)}
    other = write_tar(tmp_path / "other.tar", files)
    found = check(str(corpus), tmp_path / "out", CheckOptions(against=(str(other),), processes=1))
    assert found.whole
    assert found.against[0].seen == 0


def test_any_pairs_may_be_the_test_set(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(stored(scenery(120, 90, 3), "JPEG", quality=95))
    (tmp_path / "list.csv").write_text("filepath,title\np.jpg,a scene\n")
    options = CheckOptions(against=(str(tmp_path / "list.csv"),), processes=2)
    assert check(str(corpus), tmp_path / "out", options).against[0].seen == 1


def test_a_wrong_name_is_told_before_the_work(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match="nothing to compare with"):
        check(str(corpus), tmp_path / "out", CheckOptions(against=("nowhere",), processes=1))
    assert not (tmp_path / "out").exists()


def test_equal_files_are_paired_each_with_each() -> None:
    mine = np.array([5, 7, 5, 9], dtype=np.uint64)
    theirs = np.array([9, 5, 0, 4, 5], dtype=np.uint64)
    wanted = [[i, j] for j in range(5) for i in range(4) if mine[i] == theirs[j]]
    assert sorted(_same_files(mine, theirs).tolist()) == sorted(wanted)


def test_a_copy_of_a_picture_whose_bytes_are_another_test_picture_is_seen_too(
    corpus: Path, tmp_path: Path
) -> None:
    folder = class_folder(tmp_path) / "scenes"
    (folder / "again.webp").write_bytes(stored(scenery(120, 90, 3).resize((80, 60)), "WEBP", quality=80))
    options = CheckOptions(against=(str(tmp_path / "tests"),), processes=1)
    (against,) = check(str(corpus), tmp_path / "out", options).against
    assert (against.pictures, against.seen, against.training_pictures) == (6, 3, 2)
    listed = [json.loads(line)["key"] for line in (tmp_path / "out" / "check.jsonl").read_text().splitlines()]
    assert listed == ["3", "7"]  # each picture of the corpus once
