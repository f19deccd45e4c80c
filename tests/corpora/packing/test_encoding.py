"""What is left alone, what is made anew, and that neither changes what training sees."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_pictures import ODD, stored, texture
from PIL import Image

from sightword.corpora.packing.encoding import Encoding, encoded
from sightword.errors import BadSample, SightwordError
from sightword.pairs.tars.writer import extension
from sightword.views.decode import decode


def made(image: bytes, verify: bool = False, **options: object) -> bytes:
    return encoded(image, "key", Encoding(**options), verify)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ODD)
def test_without_wishes_nothing_is_touched_nor_even_read(kind: str) -> None:
    image = ODD[kind](60, 40)
    assert made(image) is image
    assert made(image[:30]) == image[:30]


@pytest.mark.parametrize("kind", ODD)
def test_what_is_small_enough_and_of_the_right_format_stays_bit_for_bit(kind: str) -> None:
    image = ODD[kind](60, 40)
    assert made(image, resize=40) is image
    assert made(image, resize=10_000) is image
    assert (made(image, format="png") is image) == (extension(image) == "png")


@pytest.mark.parametrize("kind", ODD)
def test_a_lossless_copy_looks_to_training_exactly_as_the_original(kind: str) -> None:
    image = ODD[kind](61, 40)
    copy = made(image, format="png")
    assert extension(copy) == "png"
    assert np.array_equal(decode(copy, ""), decode(image, ""))


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("format", ["keep", "jpg", "webp", "png"])
def test_smaller_pictures_are_those_that_pillow_makes_of_what_training_sees(kind: str, format: str) -> None:
    image = ODD[kind](120, 80)
    small = made(image, resize=32, format=format, quality=95)
    picture = Image.fromarray(decode(image, ""))  # turned upright, on white, first frame
    scale = 32 / min(picture.size)
    wanted = picture.resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
    )
    found = decode(small, "")
    assert found.shape == (wanted.height, wanted.width, 3)
    off = np.abs(found.astype(float) - np.asarray(wanted).astype(float)).mean()
    if extension(small) != "png":
        assert off < 7  # levels: half of the colours' resolution, at 32 pixels
    elif extension(image) == "jpg":
        assert off < 2  # a JPEG is decoded at less than its full size
    else:
        assert off == 0
    kept = extension(image) if extension(image) in ("jpg", "png", "webp") else "png"
    assert extension(small) == (kept if format == "keep" else format)


def test_nothing_of_the_old_file_but_its_pixels_is_carried_over() -> None:
    image = ODD["turned.jpg"](120, 80)
    with Image.open(io.BytesIO(made(image, resize=40))) as small:
        assert small.size == (40, 60)
        assert not small.getexif()


@given(width=st.integers(1, 300), height=st.integers(1, 300), resize=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_the_shorter_side_is_as_wished_or_was_smaller(width: int, height: int, resize: int) -> None:
    image = stored(texture(width, height), "PNG", compress_level=0)
    with Image.open(io.BytesIO(made(image, resize=resize))) as found:
        assert min(found.size) == min(width, height, resize)
        scale = min(found.size) / min(width, height)
        assert abs(found.width - width * scale) <= 0.5
        assert abs(found.height - height * scale) <= 0.5


def test_only_large_leaves_small_pictures_in_their_format() -> None:
    small, large = stored(texture(30, 30)), stored(texture(90, 90))
    assert made(small, resize=40, format="webp", only_large=True) is small
    assert extension(made(large, resize=40, format="webp", only_large=True)) == "webp"
    assert extension(made(small, resize=40, format="webp")) == "webp"


def test_quality_counts() -> None:
    image = stored(Image.effect_noise((90, 90), 80).convert("RGB"))
    for format in ("jpg", "webp"):
        sizes = [len(made(image, format=format, quality=quality)) for quality in (20, 60, 95)]
        assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("format", ["jpg", "webp", "png"])
def test_the_same_picture_gives_the_same_bytes(format: str) -> None:
    image = stored(texture(90, 60))
    assert made(image, resize=32, format=format) == made(image, resize=32, format=format)


@pytest.mark.parametrize("kind", sorted(ODD.keys() - {"animated.gif"}))  # whose first frame is still whole
def test_a_cut_picture_is_a_bad_sample_when_it_is_read(kind: str) -> None:
    image = ODD[kind](60, 40)
    cut = image[: len(image) // 2]
    for options in ({"resize": 20}, {"verify": True}):
        with pytest.raises(BadSample) as caught:
            made(cut, **options)
        assert caught.value.key == "key"


@pytest.mark.parametrize("image", [b"", b"<html>", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_a_bad_sample(image: bytes) -> None:
    for options in ({"resize": 20}, {"format": "png"}, {"verify": True}):
        with pytest.raises(BadSample):
            made(image, **options)


def test_a_picture_too_long_for_its_format_is_a_bad_sample() -> None:
    with pytest.raises(BadSample, match="cannot be written"):
        made(stored(Image.new("RGB", (17_000, 2))), format="webp")


@pytest.mark.parametrize("options", [{"resize": -1}, {"quality": 0}, {"quality": 101}, {"only_large": True}])
def test_wishes_that_cannot_be_are_told(options: dict[str, object]) -> None:
    with pytest.raises(SightwordError, match=f"--{next(iter(options)).replace('_', '-')}"):
        Encoding(**options)  # type: ignore[arg-type]
