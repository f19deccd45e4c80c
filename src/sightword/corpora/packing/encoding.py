"""One picture made smaller or stored in another format, and left alone bit for bit where it need not be."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image

from sightword.errors import BadSample, SightwordError
from sightword.pairs.tars.writer import extension
from sightword.views.decode import decode

Format = Literal["keep", "jpg", "png", "webp"]
_SCALED = 2  # a JPEG may be decoded at a part of its size down to this multiple of the wanted one: below it
# the resampling could no longer make up for the cruder filter of the DCT (Pillow's `reducing_gap=2.0`)


@dataclass(frozen=True)
class Encoding:
    """What to do with a picture's bytes.

    Args:
        resize: the shorter side at most, in pixels; 0: any. Nothing is ever made larger.
        format: what a picture becomes; `keep`: its own format, or png where that cannot be written.
        quality: of jpg and webp, 1 to 100.
        only_large: touch only what is larger than `resize`, whatever its format.

    A picture is read as training reads it (`views.decode`): EXIF's orientation is applied, transparency is
    laid on white, the first frame of an animation counts, 16 bits become 8, CMYK becomes RGB. Colour profiles
    are dropped without conversion, as training ignores them. The filter is Pillow's antialiased bicubic.

    Raises:
        SightwordError: a value that cannot be.
    """

    resize: int = 0
    format: Format = "keep"
    quality: int = 85
    only_large: bool = False

    def __post_init__(self) -> None:
        if self.resize < 0:
            raise SightwordError(f"--resize must be a number of pixels, or 0 for none, found {self.resize}")
        if not 1 <= self.quality <= 100:
            raise SightwordError(f"--quality must be 1 to 100, found {self.quality}")
        if self.only_large and not self.resize:
            raise SightwordError("--only-large needs --resize, which says what is large")

    @property
    def touches(self) -> bool:
        """Whether any picture may be changed."""
        return bool(self.resize) or self.format != "keep"


def encoded(image: bytes, key: str, encoding: Encoding, verify: bool) -> bytes:
    """The bytes to store; `image` itself where nothing need be done.

    Args:
        image: a picture as stored.
        key: its sample's name, for the error.
        encoding: what to do.
        verify: decode even what is left alone, so that nothing unreadable is stored.

    Raises:
        BadSample: it cannot be read, or not be written in the wanted format.
    """
    if encoding.touches:
        shorter = _shorter_side(image, key)
        large = bool(encoding.resize) and shorter > encoding.resize
        if large or (not encoding.only_large and encoding.format not in ("keep", extension(image))):
            return _made(image, key, encoding, large)
    if verify:
        decode(image, key)
    return image


def _shorter_side(image: bytes, key: str) -> int:
    if not image:
        raise BadSample(key, "the file is empty")
    try:
        with Image.open(io.BytesIO(image)) as opened:
            return min(opened.size)
    except Exception as error:  # decoders raise anything on broken bytes, and one file must not end a run
        raise BadSample(key, f"not a readable picture: {error or type(error).__name__}") from error


def _made(image: bytes, key: str, encoding: Encoding, large: bool) -> bytes:
    pixels = decode(image, key, shortest=_SCALED * encoding.resize if large else 0)
    picture = Image.fromarray(pixels)
    if large:
        scale = encoding.resize / min(picture.size)
        size = [max(1, round(side * scale)) for side in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    try:
        return _written(picture, encoding.format if encoding.format != "keep" else extension(image), encoding)
    except Exception as error:  # formats have limits of size; encoders say so in their own ways
        raise BadSample(key, f"cannot be written: {error or type(error).__name__}") from error


def _written(picture: Image.Image, name: str, encoding: Encoding) -> bytes:
    buffer = io.BytesIO()
    if name == "jpg":
        return bytes(simplejpeg.encode_jpeg(np.asarray(picture), encoding.quality, "RGB", "420"))
    if name == "webp":
        picture.save(buffer, "WEBP", quality=encoding.quality)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()
