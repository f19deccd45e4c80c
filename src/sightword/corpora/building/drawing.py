"""From a drawing in a package to a picture in a corpus: on white, square, WebP without loss."""

from __future__ import annotations

import hashlib
import importlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from sightword.corpora import fingerprints
from sightword.corpora.building.svg import why_not
from sightword.errors import SightwordError

_DPI = 96.0  # CSS pixels of an inch; without it the renderer refuses sizes in points and millimetres
_MOST_ENLARGED = 8.0  # a small drawing on a large page
_VISIBLE = 24  # levels of 255 from the background that an eye can tell
_LEAST_INK = 0.002  # of the picture's area
_MARGIN = 0.02  # of the longer side, around a drawing that is cropped to its ink
_MOST_PIXELS = 16 << 20


@dataclass(frozen=True)
class Drawing:
    """Something to draw: an SVG, or a picture file of any kind."""

    content: bytes
    crop: bool = False  # an SVG to its ink, without the page around it


@dataclass(frozen=True)
class Drawn:
    """A finished picture, or why there is none."""

    image: bytes = b""
    pixels: str = ""  # hash of the finished pixels: equal where two pictures look the same
    looks: bytes = b""  # a row of `fingerprints.ROW`: close where two pictures look nearly the same
    refused: str = ""


def check_installed() -> None:
    """Raises SightwordError where what draws SVG is not installed."""
    _resvg()


def draw(drawing: Drawing, size: int) -> Drawn:
    """Draw on white into a square of at most `size` pixels; a smaller picture file is never enlarged."""
    is_svg = _is_svg(drawing.content)
    if is_svg and (reason := why_not(drawing.content)):
        return Drawn(refused=reason)
    try:
        if is_svg:
            picture = (_ink_of_svg if drawing.crop else _from_svg)(drawing.content, size)
        else:
            picture = _from_file(drawing.content)
    except (KeyboardInterrupt, SystemExit, SightwordError):
        raise
    except BaseException as error:  # a panic of the renderer is no Exception
        return Drawn(refused=f"cannot be drawn ({_said(error)})")
    picture = _square(picture, size)
    pixels = np.asarray(picture)
    if _blank(pixels):
        return Drawn(refused="blank")
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=True, quality=20, method=1)  # twice the time of PNG, half its size
    same = hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()
    return Drawn(file.getvalue(), same, _looks(pixels))


def _looks(pixels: npt.NDArray[np.uint8]) -> bytes:
    row = np.zeros(1, fingerprints.ROW)
    row["coarse"], row["fine"], row["colours"], row["looks"] = fingerprints.looks(pixels)
    return row.tobytes()


def _said(error: BaseException) -> str:
    """What a library said, short and the same on every machine and for every picture."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture"
    return str(error).partition("\n")[0][:80] or type(error).__name__


def _resvg() -> Any:
    try:
        return importlib.import_module("resvg_py")
    except ImportError as error:
        raise SightwordError(
            "corpora are drawn with resvg-py, which is not installed; run `pip install 'sightword[corpora]'`"
        ) from error


def _is_svg(content: bytes) -> bool:
    return b"<svg" in content[:65536] and content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _from_svg(svg: bytes, side: int) -> Image.Image:
    """Without the machine's fonts, so that it looks the same everywhere; the longer side is `side` pixels."""
    png = _resvg().svg_to_bytes(
        svg_string=svg.decode("utf-8", errors="replace"), width=side, height=side, dpi=_DPI,
        background="white", skip_system_fonts=True,
    )  # fmt: skip
    return Image.open(io.BytesIO(png)).convert("RGB")


def _ink_of_svg(svg: bytes, size: int) -> Image.Image:
    """A drawing without the empty page around it: looked for small, then drawn as large as it takes."""
    page = _from_svg(svg, size)
    found = _box(page)
    if found is None:
        return page
    longest = max(found[2] - found[0], found[3] - found[1]) - 2  # blurred edges look like ink
    if longest >= size:
        return page
    page = _from_svg(svg, round(size * min(_MOST_ENLARGED, size / max(1, longest))))
    box = _box(page)
    return page if box is None else _cut(page, box)


def _from_file(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as opened:
        if opened.width * opened.height > _MOST_PIXELS:
            raise ValueError("too large")
        picture = opened.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what is not white, with a margin."""
    ink = _ink(np.asarray(picture), [255, 255, 255])
    down, across = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(down):
        return None
    left, right, top, bottom = int(across[0]), int(across[-1]) + 1, int(down[0]), int(down[-1]) + 1
    margin = round(_MARGIN * max(right - left, bottom - top))
    return left - margin, top - margin, right + margin, bottom + margin


def _cut(picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A part of a picture, and white paper where the box goes beyond it."""
    paper = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), "white")
    paper.paste(picture, (-box[0], -box[1]))
    return paper


def _square(picture: Image.Image, size: int) -> Image.Image:
    """The whole picture in the middle of a white square."""
    scale = min(1.0, size / max(picture.size))
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    side = max(picture.size)
    if picture.size == (side, side):
        return picture
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def _blank(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether hardly anything stands out from the corner, taken to be the background."""
    return bool(_ink(pixels, pixels[0, 0]).mean() < _LEAST_INK)


def _ink(pixels: npt.NDArray[np.uint8], background: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Where an eye can tell a picture from its background, pixel by pixel."""
    away = np.abs(pixels.astype(np.int16) - np.asarray(background, np.int16)) > _VISIBLE
    return away[..., 0] | away[..., 1] | away[..., 2]  # ten times faster than `any` over so short an axis
