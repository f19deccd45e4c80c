"""Held-out sets: what lies in them is what no run sees, to the byte, and nothing of it is elsewhere."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_shard import write_tar
from tiny_runs import tiny

from sightword.config import Config
from sightword.corpora.checking.copies import Copies
from sightword.errors import SightwordError
from sightword.evaluation.labelled import LabelledSet
from sightword.evaluation.webdatasets import open_clip_benchmark
from sightword.study import holding
from sightword.study.holding import hold_out
from sightword.training.data import own_pairs


def scene(seed: int, kind: str = "PNG", size: int = 128) -> bytes:
    """A picture of large smooth shapes, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    whole = Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC)
    whole.resize((size, size)).save(buffer, kind, quality=95)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTWORD_CACHE", str(tmp_path / "cache"))


def tar_of(path: Path, pictures: list[bytes], captions: list[str] | None = None) -> Config:
    """A run on these pictures, each with a caption of its own."""
    said = captions or [f"scene {i}" for i in range(len(pictures))]
    files = {}
    for i, (picture, caption) in enumerate(zip(pictures, said, strict=True)):
        files |= {f"{i:03}.png": picture, f"{i:03}.txt": caption.encode()}
    return tiny(path.parent / "run", write_tar(path, files))


def opened(folder: Path) -> tuple[LabelledSet, LabelledSet]:
    """Validation and test, as evaluation opens them."""
    sets = [open_clip_benchmark(folder / name).tests for name in (holding.VALIDATION, holding.TEST)]
    assert [len(tests) for tests in sets] == [1, 1]
    return sets[0][0], sets[1][0]


def content(one: LabelledSet) -> dict[bytes, set[str]]:
    found = {one.file(i): set(one.captions[i]) for i in range(len(one))}
    assert len(found) == len(one)
    return found


def trained_on(config: Config, count: int) -> set[bytes]:
    pairs = own_pairs(replace(config, data=replace(config.data, held_out=count)))
    return {pairs[i].image for i in range(len(pairs))}


def test_rows_of_a_picture_become_one_picture(tmp_path: Path) -> None:
    """A table of three rows a picture: 24 of its 90 rows are 8 pictures of three captions."""
    (tmp_path / "images").mkdir()
    for i in range(30):
        (tmp_path / "images" / f"{i}.jpg").write_bytes(scene(i, "JPEG"))
    rows = [f"images/{i}.jpg,caption {k} of {i}" for k in range(3) for i in range(30)]
    (tmp_path / "pairs.csv").write_text("\n".join(["filepath,title", *rows]))
    config = tiny(tmp_path / "run", tmp_path / "pairs.csv")
    said: list[str] = []
    made = hold_out(config, 24, tmp_path / "held", said.append)
    assert (made.pairs, made.pictures, made.validation, made.test) == (24, 8, 4, 4)
    assert (made.unreadable, made.without_caption, made.leaked, made.compared) == (0, 0, 0, True)
    assert said == [f"held out for '{tmp_path / 'held'}': 4 pictures for validation, 4 for the test"]
    files = {scene(i, "JPEG"): {f"caption {k} of {i}" for k in range(3)} for i in range(30)}
    validation, test = map(content, opened(tmp_path / "held"))
    assert not validation.keys() & test.keys()
    assert all(files[picture] == captions for picture, captions in (validation | test).items())
    assert trained_on(config, 24) == files.keys() - validation.keys() - test.keys()


def test_copies_are_left_out(tmp_path: Path) -> None:
    """Every picture comes twice, half of the second ones encoded anew: only what has no copy is tested on."""
    second = [scene(i) if i % 2 else scene(i, "JPEG", 96) for i in range(20)]
    config = tar_of(tmp_path / "a.tar", [*(scene(i) for i in range(20)), *second, *map(scene, range(50, 70))])
    made = hold_out(config, 40, tmp_path / "held", lambda line: None)
    trained, (validation, test) = trained_on(config, 40), map(content, opened(tmp_path / "held"))
    of = {scene(i): i for i in [*range(20), *range(50, 70)]} | {second[i]: i for i in range(20)}
    numbers = {name: {of[picture] for picture in part} for name, part in (("v", validation), ("t", test))}
    assert not (numbers["v"] | numbers["t"]) & {of[picture] for picture in trained}
    assert not numbers["v"] & numbers["t"]
    assert {i for i in numbers["v"] | numbers["t"] if i < 20}, "no pair of copies was held out together"
    everything = {**validation, **test}
    merged = [picture for picture, captions in everything.items() if len(captions) == 2]
    assert merged
    assert {frozenset(everything[picture]) for picture in merged} == {
        frozenset({f"scene {of[picture]}", f"scene {of[picture] + 20}"}) for picture in merged
    }
    assert made.leaked == made.pictures - len(everything) > 0
    assert {of[picture] for picture in everything} >= set(range(50, 70)) - {of[p] for p in trained}


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    config = tar_of(tmp_path / "a.tar", [scene(i) if i % 4 else b"no picture" for i in range(40)])
    said: list[str] = []
    made = hold_out(config, 20, tmp_path / "held", said.append)
    validation, test = opened(tmp_path / "held")
    assert 0 < made.unreadable < 20
    assert made.pictures == len(validation) + len(test) == 20 - made.unreadable
    assert said[0] == f"{made.unreadable} of 20 held-out pairs cannot be read, and are not tested on"


def test_captions_are_those_that_training_could_show(tmp_path: Path) -> None:
    """A title or a description, either of which may be empty; a line break ends no caption."""
    files = {}
    for i in range(24):
        title, rest = ("", "") if i % 3 == 0 else (f"title\n{i}", f"description {i}")
        files[f"{i}.json"] = f'{{"title": {title!r}, "description": {rest!r}}}'.replace("'", '"').encode()
        files |= {f"{i}.png": scene(i), f"{i}.txt": b"something else"}
    config = tiny(tmp_path / "run", write_tar(tmp_path / "a.tar", files))
    config = replace(config, data=replace(config.data, captions="title-or-description"))
    said: list[str] = []
    made = hold_out(config, 12, tmp_path / "held", said.append)
    validation, test = map(content, opened(tmp_path / "held"))
    of = {scene(i): {f"title {i}", f"description {i}"} for i in range(24) if i % 3}
    assert all(of[picture] == captions for picture, captions in (validation | test).items())
    assert made.without_caption == 12 - len(validation) - len(test) > 0
    assert said[0] == f"{made.without_caption} held-out pictures have no caption, and are not tested on"


def test_called_again_it_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = tar_of(tmp_path / "a.tar", [scene(i) for i in range(20)]), tmp_path / "out" / "held"
    (tmp_path / "out" / ".held.writing" / "test").mkdir(parents=True)  # a kill left it
    (tmp_path / "out" / ".held.writing" / "test" / "torn.tar").write_bytes(b"half")
    made = hold_out(config, 8, folder, lambda line: None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["held"]
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert not any("torn" in path.name for path in files)
    again = tmp_path / "again"
    assert hold_out(config, 8, again, lambda line: None) == made
    assert {again / path.relative_to(folder): data for path, data in files.items()} == {
        path: path.read_bytes() for path in again.rglob("*") if path.is_file()
    }
    monkeypatch.setattr(holding, "_make", None)
    other = replace(config, seed=5, objective="mae", data=replace(config.data, samples=9, held_out=3))
    assert hold_out(other, 8, folder, pytest.fail) == made
    moved = Path(shutil.copy(config.data.path, tmp_path / "moved.tar"))
    assert hold_out(tiny(tmp_path / "run", moved), 8, folder, pytest.fail) == made


def test_other_sets_are_refused(tmp_path: Path) -> None:
    config, folder = tar_of(tmp_path / "a.tar", [scene(i) for i in range(20)]), tmp_path / "held"
    hold_out(config, 8, folder, lambda line: None)
    with pytest.raises(SightwordError, match=r"held out otherwise \(asked was 8, and is 10\)"):
        hold_out(config, 10, folder, print)
    changed = tar_of(tmp_path / "b.tar", [scene(i) for i in range(21)])
    with pytest.raises(SightwordError, match=r"held out otherwise \(data_hash was"):
        hold_out(changed, 8, folder, print)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("important")
    with pytest.raises(SightwordError, match="holds something else than held-out pairs"):
        hold_out(config, 8, tmp_path / "mine", print)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_too_few_are_refused(tmp_path: Path) -> None:
    config = tar_of(tmp_path / "a.tar", [scene(i) for i in range(20)])
    with pytest.raises(
        SightwordError, match="1 pictures are left for validation and 1 for the test; hold out"
    ):
        hold_out(config, 2, tmp_path / "held", lambda line: None)
    with pytest.raises(SightwordError, match="of which training needs some"):
        hold_out(config, 20, tmp_path / "held", lambda line: None)
    assert not (tmp_path / "held").exists()


def test_too_many_to_compare_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "Copies", partial(Copies, most=15))
    config = tar_of(tmp_path / "a.tar", [scene(i % 12) for i in range(24)])
    said: list[str] = []
    made = hold_out(config, 8, tmp_path / "held", said.append)
    assert not made.compared
    assert "are not compared with those that are trained on: there are 16, more than the 15" in said[0]
    validation, test = map(content, opened(tmp_path / "held"))
    assert not validation.keys() & test.keys()


def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = tar_of(tmp_path / "a.tar", [scene(i) for i in range(20)]), tmp_path / "held"
    write = holding.write_shard

    def full(path: Path, samples: object) -> int:
        if path.parent.parent.name == holding.TEST:
            raise OSError(28, "No space left on device")
        return write(path, samples)

    monkeypatch.setattr(holding, "write_shard", full)
    with pytest.raises(SightwordError, match="No space left on device"):
        hold_out(config, 8, folder, lambda line: None)
    assert not folder.exists()
    monkeypatch.setattr(holding, "write_shard", write)
    assert hold_out(config, 8, folder, lambda line: None).test == 4


def test_two_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "PER_SHARD", 3)
    config = tar_of(tmp_path / "a.tar", [scene(i) for i in range(20)])
    hold_out(config, 10, tmp_path / "held", lambda line: None)
    _, test = opened(tmp_path / "held")
    assert len(test) == 5
    assert sorted(path.name for path in (tmp_path / "held" / holding.TEST / "test").iterdir()) == [
        "0.tar",
        "1.tar",
        "nshards.txt",
    ]
