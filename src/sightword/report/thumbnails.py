"""Pictures made small and put into the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sightword.report.markup import Markup, tag

SIDE = 96  # pixels: half as many again as they are shown at, for sharp screens
_QUALITY = 80


class Thumbnails:
    """Small pictures of one data set by key, each encoded once however often it is shown."""

    def __init__(self, read: Callable[[str], bytes], captions: Mapping[str, str]) -> None:
        self._read = read
        self._captions = captions
        self._made: dict[str, str] = {}
        self.used: set[str] = set()

    def caption(self, key: str) -> str:
        """What a picture shows; its key when nobody said."""
        return self._captions.get(key, key)

    def image(self, key: str) -> Markup:
        """An `img` with the caption as its alternative text."""
        said = self.caption(key)
        return tag("img", src=self.address(key), alt=said, title=said, class_="tile")

    def address(self, key: str) -> str:
        """The picture itself, at most `SIDE` pixels wide and high, as a data URI."""
        if key not in self._made:
            self._made[key] = data_uri(small(self.open(key), SIDE))
        return self._made[key]

    def open(self, key: str) -> Image.Image:
        """The picture itself, RGB; where it is transparent it lies on white."""
        self.used.add(key)
        return flat(Image.open(io.BytesIO(self._read(key))))

    def sheet(self, keys: Sequence[str], side: int, across: int) -> str:
        """A sprite sheet, `across` pictures wide and each `side` pixels square, as a data URI."""
        rows = -(-len(keys) // across)
        sheet = Image.new("RGB", (across * side, rows * side), "white")
        for i, key in enumerate(keys):
            picture = small(self.open(key), side)
            corner = (
                i % across * side + (side - picture.width) // 2,
                i // across * side + (side - picture.height) // 2,
            )
            sheet.paste(picture, corner)
        return data_uri(sheet)


def flat(picture: Image.Image) -> Image.Image:
    """RGB on white."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def small(picture: Image.Image, side: int) -> Image.Image:
    """At most `side` pixels wide and high; never enlarged."""
    copy = picture.copy()
    copy.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return copy


def strip(pictures: UInt8[np.ndarray, "b 3 h w"], gap: int = 4) -> str:
    """Several pictures of one size in a row, `gap` pixels apart on transparent ground, as a data URI."""
    count, _, height, width = pictures.shape
    row = np.zeros((height, count * (width + gap) - gap, 4), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        left = i * (width + gap)
        row[:, left : left + width, :3] = picture.transpose(1, 2, 0)
        row[:, left : left + width, 3] = 255
    return data_uri(Image.fromarray(row, "RGBA"))


def data_uri(picture: Image.Image) -> str:
    """A picture as WebP inside an address."""
    written = io.BytesIO()
    picture.save(written, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode()
