"""Copies look alike, others do not, and blank pictures are known as such."""

from __future__ import annotations

import io

import numpy as np
import pytest
from odd_pictures import scenery, texture
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from sightword.corpora.fingerprints import MOST_COARSE, ROW, agree, differing, hash64, looks


def row(image: Image.Image) -> np.ndarray:
    found = np.zeros(1, dtype=ROW)
    coarse, fine, colours, there = looks(np.asarray(image.convert("RGB")))
    found["coarse"], found["fine"], found["colours"], found["looks"] = coarse, fine, colours, there
    return found


def alike(first: Image.Image, second: Image.Image) -> bool:
    mine, theirs = row(first), row(second)
    near = differing(mine["coarse"], theirs["coarse"])[0] <= MOST_COARSE
    return bool(near and agree(mine, np.zeros((1, 2), dtype=np.int64), theirs)[0])


def again(image: Image.Image, format: str, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format, quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


COPIES = {
    "jpeg": lambda image: again(image, "JPEG", 60),
    "webp": lambda image: again(image, "WEBP", 60),
    "half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "double": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_look_alike(kind: str) -> None:
    pictures = [scenery(200, 150, seed) for seed in range(40)]
    assert sum(alike(picture, COPIES[kind](picture)) for picture in pictures) >= 38


def test_others_do_not() -> None:
    pictures = [scenery(200, 150, seed) for seed in range(40)]
    rows = np.concatenate([row(picture) for picture in pictures])
    for place in range(1, 40):
        assert (differing(rows["coarse"], np.roll(rows["coarse"], place)) > MOST_COARSE).all()


def test_the_same_drawing_in_another_colour_is_another_picture() -> None:
    drawn, nothing = scenery(80, 80).getchannel(0), Image.new("L", (80, 80))
    red, green = Image.merge("RGB", (drawn, nothing, nothing)), Image.merge("RGB", (nothing, drawn, nothing))
    assert differing(row(red)["coarse"], row(green)["coarse"])[0] <= MOST_COARSE
    assert not alike(red, green)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_are_known(level: int) -> None:
    assert not row(Image.new("RGB", (50, 50), (level, level, level)))["looks"][0]
    assert row(texture(50, 50))["looks"][0]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_any_size_has_a_hash(size: tuple[int, int]) -> None:
    assert row(texture(*size)).shape == (1,)


def test_signs_are_those_of_the_cosine_transform() -> None:
    image = texture(32, 32, 5)
    wanted = dctn(np.asarray(image.convert("L"), dtype=np.float64))[:8, :8].reshape(-1)[1:]
    bits = [*(wanted > np.median(wanted)).tolist(), False]
    found = np.unpackbits(row(image)["coarse"].view(np.uint8)).astype(bool).tolist()
    assert found == bits


def test_bits_are_counted() -> None:
    numbers = np.random.default_rng(0).integers(0, 2**63, (5, 4)).astype(np.uint64)
    others = numbers[::-1].copy()
    wanted = [int(a ^ b).bit_count() for a, b in zip(numbers.flat, others.flat, strict=True)]
    assert differing(numbers, others).reshape(-1).tolist() == wanted


def test_a_hash_of_bytes_is_of_all_bytes() -> None:
    assert hash64(b"ab") != hash64(b"ac")
    assert 0 <= hash64(b"") < 2**64
