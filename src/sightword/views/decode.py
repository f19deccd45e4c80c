"""Bytes to pixels: any picture file to an RGB array, or a `BadSample` that says what is wrong with it."""

from __future__ import annotations

import contextlib
import functools
import io

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from sightword.errors import BadSample

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs: a quarter GiB of RGB
SCANS = 16  # a progressive JPEG of the largest size has at most; smaller ones may have more (most have 10)
# Not EPS: Pillow would run it as a program.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "ICO", "JPEG2000")
_JPEG, _SCAN = b"\xff\xd8", b"\xff\xda"


def decode(
    data: bytes, key: str, max_pixels: int = MAX_PIXELS, shortest: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as RGB, rows x columns x 3.

    JPEG is read by libjpeg-turbo directly, all else (and the JPEGs that it refuses, e.g. CMYK) by Pillow.
    EXIF's orientation is applied, as far as it can be read; transparent pictures are laid on white; of
    animations the first frame counts; 16 bits a channel become their upper 8.

    Args:
        data: the file.
        key: the sample's name, for the error.
        max_pixels: larger pictures are refused before they are decoded (Pillow refuses 179 million anyway).
        shortest: 0, or allow JPEGs to be decoded smaller by a factor of the DCT (faster), as long as
            neither side gets shorter than this. Deviation where it is used: less detail in small crops.

    Raises:
        BadSample: not a picture, cut short, broken, too large, made to take long, or of a kind that has no
            colours.
    """
    if not data:
        raise BadSample(key, "the file is empty")
    try:
        if data[:2] == _JPEG:
            pixels = _decode_jpeg(data, max_pixels, shortest)
            if pixels is not None:
                return pixels
        return _decode_any(data, max_pixels)
    except _RefusedError as error:
        raise BadSample(key, str(error)) from error
    except UnidentifiedImageError as error:
        raise BadSample(key, "not a readable picture: of no known format") from error
    except Exception as error:  # decoders raise anything on broken bytes, and one file must not end a run
        raise BadSample(key, f"not a readable picture: {error or type(error).__name__}") from error


def pixels_of(image: Image.Image, key: str, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w 3"]:
    """A picture that Pillow has opened, as `decode` would have it.

    Raises:
        BadSample: it cannot be read after all, is too large, or is of a kind that has no colours.
    """
    try:
        _check_size(*image.size, max_pixels)
        return np.array(_to_rgb(_upright(image)), dtype=np.uint8)
    except _RefusedError as error:
        raise BadSample(key, str(error)) from error
    except Exception as error:  # as in `decode`
        raise BadSample(key, f"not a readable picture: {error or type(error).__name__}") from error


class _RefusedError(Exception):
    """A picture that is whole, but that we do not take."""


def _decode_jpeg(data: bytes, max_pixels: int, shortest: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """None where Pillow should have a look: other colours than RGB or gray, a turned picture, or an error."""
    if _is_turned(data):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        _check_size(width, height, max_pixels)
        _check_scans(data, width * height, max_pixels)
        if colours not in ("YCbCr", "Gray", "RGB"):
            return None
        least = max(0, shortest)
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least)
    except ValueError:
        return None
    return pixels


def is_upright_jpeg(data: bytes) -> bool:
    """Whether this starts as a JPEG that no camera's orientation turns; False if in doubt."""
    try:
        return data[:2] == _JPEG and not _is_turned(data)
    except Exception:  # as in `decode`, which will say what is wrong
        return False


def _is_turned(data: bytes) -> bool:
    return _has_exif(data) and _orientation(data) > 1


def _has_exif(data: bytes) -> bool:
    """Whether a segment before the picture itself is EXIF's or, where they are broken, its name is there."""
    at = 2
    while (marker := data[at : at + 2])[:1] == b"\xff" and marker != b"\xff\xff":
        if marker == _SCAN:  # the picture
            return False
        if marker == b"\xff\xe1" and data[at + 4 : at + 10] == b"Exif\x00\x00":
            return True
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return b"Exif\x00\x00" in data[:65_536]


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        try:
            return int(image.getexif().get(0x0112, 1))
        except Exception:  # the picture may be good all the same
            return 1


def _decode_any(data: bytes, max_pixels: int) -> UInt8[np.ndarray, "h w 3"]:
    formats = ["WEBP"] if data[8:12] == b"WEBP" else _formats()  # spares Pillow from asking all the others
    with Image.open(io.BytesIO(data), formats=formats) as opened:
        _check_size(*opened.size, max_pixels)
        if data[:2] == _JPEG:
            _check_scans(data, opened.width * opened.height, max_pixels)
        image = _to_rgb(_upright(opened))
    return np.array(image, dtype=np.uint8)


@functools.cache
def _formats() -> list[str]:
    """Those that this Pillow was built with."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera says; as it is where that cannot be understood."""
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(image)
    return image


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise _RefusedError(f"{width} x {height} pixels: there is nothing in it")
    if width * height > max_pixels:
        raise _RefusedError(f"{width} x {height} pixels are more than the limit of {max_pixels}")


def _check_scans(data: bytes, pixels: int, max_pixels: int) -> None:
    """Each scan goes over the whole picture again: a few kilobytes could keep a reader for minutes."""
    scans = data.count(_SCAN)
    if scans * pixels > SCANS * max_pixels:
        raise _RefusedError(f"{scans} scans over {pixels} pixels would take too long")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise _RefusedError("floating-point pixels, whose white is unknown")
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image).clip(0, 65_535) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, picture).convert("RGB")
    return image.convert("RGB")
