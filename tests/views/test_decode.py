from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from photos import photo
from PIL import Image

from sightword.errors import BadSample
from sightword.views.decode import decode

PHOTO = photo(48, 64, 0)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_lossless_files_come_back_as_they_were() -> None:
    for kind in ("PNG", "BMP", "TIFF", "PPM"):
        assert np.array_equal(decode(encoded(Image.fromarray(PHOTO), kind), "a"), PHOTO)
    assert np.array_equal(decode(encoded(Image.fromarray(PHOTO), "WEBP", lossless=True), "a"), PHOTO)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"quality": 30}])
def test_jpeg_is_as_pillow_reads_it(options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(PHOTO), "JPEG", **options)
    away = np.abs(decode(data, "a").astype(int) - np.asarray(Image.open(io.BytesIO(data))))
    assert away.max() <= 2


def test_gray_and_cmyk_jpegs_become_rgb() -> None:
    gray = Image.fromarray(PHOTO).convert("L")
    pixels = decode(encoded(gray, "JPEG", quality=95), "a")
    assert np.abs(pixels.astype(int) - np.asarray(gray)[:, :, None]).mean() < 2
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    cmyk = decode(encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95, subsampling=0), "a")
    assert np.abs(cmyk.astype(int) - PHOTO).mean() < 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_applied(kind: str, orientation: int) -> None:
    corner = np.full((16, 32, 3), 255, dtype=np.uint8)
    corner[:8, :8] = (200, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encoded(Image.fromarray(corner), kind, exif=exif), "a")
    rows, columns = (32, 16) if orientation >= 5 else (16, 32)
    assert pixels.shape == (rows, columns, 3)
    bottom = orientation in (3, 4, 7, 8)
    right = orientation in (2, 3, 6, 7)
    seen = pixels[(rows - 4) if bottom else 4, (columns - 4) if right else 4]
    assert np.abs(seen.astype(int) - (200, 0, 0)).max() < 40


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((4, 4, 4), dtype=np.uint8)
    rgba[0] = (10, 20, 30, 255)
    rgba[1] = (0, 0, 0, 127)
    for kind in ("PNG", "TIFF"):
        pixels = decode(encoded(Image.fromarray(rgba), kind), "a")
        assert pixels[0, 0].tolist() == [10, 20, 30]
        assert np.abs(pixels[1, 0].astype(int) - 128).max() <= 1
        assert pixels[2, 0].tolist() == [255, 255, 255]
    gray_alpha = Image.fromarray(rgba).convert("LA")
    assert decode(encoded(gray_alpha, "PNG"), "a")[2, 0].tolist() == [255, 255, 255]


def test_palettes_with_and_without_a_transparent_colour() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 8, 7, 200, 100, 50])
    image.putdata([0, 1])
    assert decode(encoded(image, "PNG"), "a").tolist() == [[[9, 8, 7], [200, 100, 50]]]
    assert decode(encoded(image, "PNG", transparency=1), "a").tolist() == [[[9, 8, 7], [255, 255, 255]]]
    assert decode(encoded(image, "GIF"), "a").tolist() == [[[9, 8, 7], [200, 100, 50]]]


def test_one_bit_and_sixteen_bits() -> None:
    assert decode(encoded(Image.new("1", (2, 2), 1), "PNG"), "a").tolist() == [[[255] * 3] * 2] * 2
    ramp = np.array([[0, 255, 256, 32_768, 65_535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        assert decode(encoded(Image.fromarray(ramp), kind), "a")[0, :, 1].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_counts(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
    assert decode(data, "a")[4, 4].tolist() == [255, 0, 0]


def test_large_jpegs_may_be_decoded_smaller() -> None:
    data = encoded(Image.fromarray(photo(400, 600, 1)), "JPEG")
    assert decode(data, "a").shape == (400, 600, 3)
    small = decode(data, "a", shortest=180)
    assert 180 <= min(small.shape[:2]) < 300
    full = Image.fromarray(decode(data, "a")).resize(small.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(small.astype(int) - np.asarray(full)).mean() < 3
    assert decode(data, "a", shortest=1000).shape == (400, 600, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_files_cut_short_are_bad_samples(kind: str, share: float) -> None:
    data = encoded(Image.fromarray(photo(120, 120, 2)), kind)
    with pytest.raises(BadSample, match="cat-7: not a readable picture") as caught:
        decode(data[: int(len(data) * share)], "cat-7")
    assert caught.value.key == "cat-7"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>404 Not Found</html>", "not a readable picture: of no known format"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "not a readable picture"),
        (b"\xff\xd8\xff\xe1\x00\x20Exif\x00\x00" + bytes(40), "not a readable picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a readable picture"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(20), "not a readable picture"),
    ],
)
def test_what_is_not_a_picture_is_a_bad_sample(data: bytes, reason: str) -> None:
    with pytest.raises(BadSample, match=reason):
        decode(data, "a")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pictures_above_the_limit_are_refused_undecoded(kind: str) -> None:
    data = encoded(Image.fromarray(PHOTO), kind)
    with pytest.raises(BadSample, match=r"64 x 48 pixels are more than the limit of 3071"):
        decode(data, "a", max_pixels=64 * 48 - 1)
    assert decode(data, "a", max_pixels=64 * 48).shape == (48, 64, 3)


def test_a_small_file_that_claims_to_be_huge_is_refused() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(BadSample, match="3600000000 pixels"):
        decode(file + struct.pack(">I", 90) + b"IDAT" + bytes(90), "bomb")


def test_pixels_without_a_known_white_are_refused() -> None:
    with pytest.raises(BadSample, match="floating-point"):
        decode(encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF"), "a")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_noise_in_a_file_never_raises_anything_else() -> None:
    rng = np.random.default_rng(3)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        clean = np.frombuffer(encoded(Image.fromarray(PHOTO), kind), dtype=np.uint8)
        for _ in range(40):
            broken = clean.copy()
            where = rng.integers(0, len(broken), 1 + len(broken) // 200)
            broken[where] = rng.integers(0, 256, len(where))
            try:
                pixels = decode(broken.tobytes(), "a")
            except BadSample:
                continue
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
