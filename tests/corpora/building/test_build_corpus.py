from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from small_packages import SQUARE, icon_package, icon_set

from sightword.corpora.building import build, families
from sightword.corpora.building.build import build_corpus
from sightword.errors import SightwordError
from sightword.pairs.sources import open_pairs

WHY = "resvg-py is not installed (pip install 'sightword[corpora]')"
COLOURS = ["red", "green", "blue", "black", "orange", "purple", "brown", "pink", "teal", "navy"]
ICONS = {f"{colour}-thing": SQUARE.format(colour) for colour in COLOURS}


@pytest.fixture(autouse=True)
def _drawn():
    pytest.importorskip("resvg_py", reason=WHY)


@pytest.fixture
def package(tmp_path):
    return lambda sets: icon_package(tmp_path / "icons.tgz", sets)


def read(folder):
    pairs = open_pairs(str(folder / "00000.tar"))
    return {pairs[i].key: pairs[i] for i in range(len(pairs))}


def test_a_corpus_holds_what_was_kept_and_says_what_was_not(package, tmp_path):
    first = icon_set(
        ICONS | {"white": SQUARE.format("white"), "gone": {"body": SQUARE.format("red"), "hidden": True}}
        | {"moving": '<path d="M0 0h9v9z"><animate attributeName="d"/></path>'}
    )  # fmt: skip
    second = icon_set({"crimson": SQUARE.format("red"), "sun": SQUARE.format("gold")})
    gpl = {"license": {"title": "GPL", "spdx": "GPL-3.0"}}
    archive = package({"one": ({}, first), "two": ({}, second), "bad": (gpl, icon_set(ICONS))})
    out = tmp_path / "out"
    summary = build_corpus("icons", out, archives=[archive], size=32, workers=1)
    samples = read(out)
    assert set(samples) == {f"one_{name}" for name in ICONS} | {"two_sun"}
    assert summary.pairs == len(samples) == 11
    assert summary.dropped == {
        "licence GPL-3.0": 10,
        "animated": 1,
        "blank": 1,
        "hidden by its set": 1,
        "looks the same as an earlier one": 1,
    }
    rows = [json.loads(line) for line in (out / "dropped.jsonl").read_text().splitlines()]
    assert Counter(row["reason"] for row in rows) == summary.dropped
    assert {"key": "two_crimson", "reason": "looks the same as an earlier one"} in rows
    record = json.loads((out / "corpus.json").read_text())
    assert record == {
        k: v for k, v in json.loads(json.dumps(dataclasses.asdict(summary))).items() if k != "seconds"
    }
    assert record["data_hash"] == open_pairs(str(out / "00000.tar")).data_hash
    assert "| One |" in (out / "LICENSES.md").read_text()


def test_pictures_captions_and_fields_lie_together(package, tmp_path):
    build_corpus(
        "icons", tmp_path / "out", archives=[package({"s": ({}, icon_set(ICONS))})], size=32, workers=1
    )
    for sample in read(tmp_path / "out").values():
        colour = sample.caption.removesuffix(" thing")
        pixels = np.asarray(Image.open(io.BytesIO(sample.image)))
        drawn = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
        assert tuple(pixels[16, 16]) == drawn
        assert sample.fields["license"] == "MIT"
        assert sample.fields["split"] == families.split_of(sample.fields["family"])


def test_the_same_package_gives_the_same_bytes_whatever_the_workers(package, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_PER_SHARD", 4)
    archive = package({"s": ({}, icon_set(ICONS))})
    for name, workers in {"one": 1, "two": 2}.items():
        build_corpus("icons", tmp_path / name, archives=[archive], size=16, workers=workers)
    one, two = (
        {f.name: f.read_bytes() for f in (tmp_path / n).iterdir() if f.suffix != ".npz"}
        for n in ("one", "two")
    )
    assert one == two
    assert sum(name.endswith(".tar") for name in one) == 3


def test_families_never_straddle_a_split(package, tmp_path, monkeypatch):
    monkeypatch.setattr(families, "SHARES", (("test", 0.3), ("val", 0.3), ("train", 0.4)))
    rng = np.random.default_rng(0)
    shades = [f"#{shade:06x}" for shade in rng.choice(0x800000, 90, replace=False)]
    names = [f"thing-{chr(97 + n % 15)}{style}" for n in range(30) for style in ("", "-light", "-2")]
    halves = [
        dict(zip(names[start::2], map(SQUARE.format, shades[start::2]), strict=True)) for start in (0, 1)
    ]
    sets = {f"s{n}": ({}, icon_set(half)) for n, half in enumerate(halves)}
    build_corpus("icons", tmp_path / "out", archives=[package(sets)], size=16, workers=1)
    samples = read(tmp_path / "out").values()
    letters = {}
    for sample in samples:
        letter = sample.fields["name"].split("-")[1]
        letters.setdefault(letter, set()).add((sample.fields["family"], sample.fields["split"]))
    assert len(letters) == 15
    assert all(len(found) == 1 for found in letters.values())
    assert len({split for found in letters.values() for _, split in found}) == 3


def test_same_pixels_make_one_family_and_a_place_holder_is_no_picture(package, tmp_path):
    one, other = SQUARE.format("red"), SQUARE.format("blue")
    icons = {
        "apple": one,
        "tomato": one,
        "apple-light": SQUARE.format("green"),
        "tomato-light": SQUARE.format("gold"),
    }
    icons |= dict.fromkeys(("andorra", "belgium", "chad", "denmark"), other)
    summary = build_corpus(
        "icons", tmp_path / "out", archives=[package({"s": ({}, icon_set(icons))})], size=16, workers=1
    )
    samples = read(tmp_path / "out")
    assert set(samples) == {"s_apple", "s_apple-light", "s_tomato-light"}
    assert {sample.fields["family"] for sample in samples.values()} == {"apple"}
    assert summary.dropped == {
        "one picture for more than 3 concepts": 4,
        "looks the same as an earlier one": 1,
    }


def test_a_folder_in_use_and_wrong_wishes_are_refused(package, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    with pytest.raises(SightwordError, match="not empty"):
        build_corpus("icons", tmp_path / "used")
    with pytest.raises(SightwordError, match="unknown corpus 'icon'; did you mean icons"):
        build_corpus("icon", tmp_path / "out")
    with pytest.raises(SightwordError, match="--monochrome is for icons"):
        build_corpus("emoji", tmp_path / "out", monochrome=True)


def test_nothing_is_left_behind_when_nothing_can_be_built(package, tmp_path):
    archive = package({"s": ({}, icon_set({"a": SQUARE.format("white")}))})
    with pytest.raises(SightwordError, match=r"nothing is left .*'blank': 1"):
        build_corpus("icons", tmp_path / "deep" / "out", archives=[archive], size=16, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["icons.tgz"]


def test_a_full_disk_leaves_no_half_corpus(package, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "write_shard", full)
    archive = package({"s": ({}, icon_set(ICONS))})
    with pytest.raises(SightwordError, match=r"No space left on device.*free space"):
        build_corpus("icons", tmp_path / "out", archives=[archive], size=16, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["icons.tgz"]
