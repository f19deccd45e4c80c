"""Bytes to pixels: any picture file to an RGB array, or a `BadSample` that says what is wrong with it."""

from __future__ import annotations

import io

import numpy as np
import simplejpeg
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from sightword.errors import BadSample

MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs: a quarter GiB of RGB


def decode(
    data: bytes, key: str, max_pixels: int = MAX_PIXELS, shortest: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as RGB, rows x columns x 3.

    JPEG is read by libjpeg-turbo directly, all else (and the JPEGs that it refuses, e.g. CMYK) by Pillow.
    EXIF's orientation is applied; transparent pictures are laid on white; of animations the first
    frame counts; 16 bits a channel become their upper 8.

    Args:
        data: the file.
        key: the sample's name, for the error.
        max_pixels: larger pictures are refused before they are decoded (Pillow refuses 179 million anyway).
        shortest: 0, or allow JPEGs to be decoded smaller by a factor of the DCT (faster), as long as
            neither side gets shorter than this. Deviation where it is used: less detail in small crops.

    Raises:
        BadSample: not a picture, cut short, broken, too large, or of a kind that has no colours.
    """
    if not data:
        raise BadSample(key, "the file is empty")
    try:
        if data[:2] == b"\xff\xd8":
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


class _RefusedError(Exception):
    """A picture that is whole, but that we do not take."""


def _decode_jpeg(data: bytes, max_pixels: int, shortest: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """None where Pillow should have a look: other colours than RGB or gray, a turned picture, or an error."""
    if _is_turned(data):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        _check_size(width, height, max_pixels)
        if colours not in ("YCbCr", "Gray", "RGB"):
            return None
        least = max(0, shortest)
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least)
    except ValueError:
        return None
    return pixels


def is_upright_jpeg(data: bytes) -> bool:
    """Whether this starts as a JPEG that no camera's orientation turns; False where that cannot be read."""
    try:
        return data[:2] == b"\xff\xd8" and not _is_turned(data)
    except Exception:  # as in `decode`, which will say what is wrong
        return False


def _is_turned(data: bytes) -> bool:
    return data.find(b"Exif\x00\x00", 0, 65_536) >= 0 and _orientation(data) > 1


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(0x0112, 1))


def _decode_any(data: bytes, max_pixels: int) -> UInt8[np.ndarray, "h w 3"]:
    webp = ["WEBP"] if data[8:12] == b"WEBP" else None  # spares Pillow from asking every other format first
    with Image.open(io.BytesIO(data), formats=webp) as opened:
        _check_size(*opened.size, max_pixels)
        image = _to_rgb(ImageOps.exif_transpose(opened))
    return np.array(image, dtype=np.uint8)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise _RefusedError(f"{width} x {height} pixels: there is nothing in it")
    if width * height > max_pixels:
        raise _RefusedError(f"{width} x {height} pixels are more than the limit of {max_pixels}")


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
