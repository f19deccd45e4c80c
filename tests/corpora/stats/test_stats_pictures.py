"""Pictures measured, against numpy in the plainest way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odd_pictures import ODD, scenery, stored
from PIL import Image
from tiny_corpus import write_corpus

from sightword.corpora.stats.pictures import measure, see
from sightword.errors import BadSample
from sightword.pairs.sources import open_pairs
from sightword.views.decode import decode


@pytest.mark.parametrize("kind", ODD)
def test_numbers_are_those_of_the_decoded_picture(kind: str) -> None:
    data = ODD[kind](70, 41)
    row = measure(5, "k", data)[0]
    pixels = decode(data, "k") / 255
    assert (row["height"], row["width"], row["bytes"]) == (*pixels.shape[:2], len(data))
    assert row["mean"] == pytest.approx(pixels.mean(axis=(0, 1)), abs=1e-12)
    assert row["square"] == pytest.approx((pixels**2).mean(axis=(0, 1)), abs=1e-12)
    light = pixels @ [0.299, 0.587, 0.114]  # ITU-R BT.601, which Pillow rounds to whole levels
    assert row["brightness"] == pytest.approx(light.mean(), abs=1 / 255)
    assert row["contrast"] == pytest.approx(light.std(), abs=1 / 255)
    assert row["animated"] == (kind == "animated.gif")
    assert row["gray"] == (kind in ("gray.jpg", "deep.png"))


def test_entropy_is_bits_of_brightness() -> None:
    stripes = np.repeat(np.repeat(np.array([0, 80, 160, 240], dtype=np.uint8), 8)[:, None], 32, axis=1)
    assert measure(0, "k", stored(Image.fromarray(stripes)))["entropy"][0] == pytest.approx(2.0)
    flat = measure(0, "k", stored(Image.new("RGB", (9, 9), "red")))[0]
    assert (flat["entropy"], flat["contrast"]) == (0.0, 0.0)


def test_a_faint_colour_is_a_colour() -> None:
    gray = scenery(64, 64, 1).convert("L").convert("RGB")
    levels = np.array(gray)
    levels[:32, :, 0] = np.minimum(255, levels[:32, :, 0].astype(int) + 30)
    assert measure(0, "k", stored(gray))["gray"][0]
    assert not measure(0, "k", stored(Image.fromarray(levels)))["gray"][0]


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(BadSample, match="empty"):
        measure(0, "k", b"")


def test_a_range_keeps_the_good_and_lists_the_bad(tmp_path: Path) -> None:
    pairs = open_pairs(str(write_corpus(tmp_path)))
    done = list[int]()
    seen = see(pairs, np.arange(len(pairs), dtype=np.int64), done.append)
    assert [bad.key for bad in seen.unreadable] == ["k36", "k37", "k38"]
    assert sorted([*seen.rows["number"].tolist(), 36, 37, 38]) == list(range(40))
    assert sum(done) == 40
