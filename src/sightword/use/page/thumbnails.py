"""Pictures of an index as the page shows them: made small here, whatever the file is."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal, final

import numpy as np
from PIL import Image

from sightword.errors import BadSample
from sightword.pairs.sources import open_pairs
from sightword.report.thumbnails import small
from sightword.use.index.folder import Opened
from sightword.use.index.stock import reading_of
from sightword.views.decode import decode

Size = Literal["small", "large"]
_SIDES: dict[str, int] = {"small": 320, "large": 1600}  # pixels at most
_KEPT = 1000  # pictures in memory
_QUALITY = 82


@final
class Thumbnails:
    """Pictures by their row in the index, and no others: nobody can name a file.

    Raises:
        SightwordError: the source of the index is gone.
    """

    def __init__(self, opened: Opened) -> None:
        about = opened.about
        self._opened = opened
        self._pairs = open_pairs(about.data, about.split, reading_of(about.reading))
        self.webp = lru_cache(_KEPT)(self._webp)

    def __len__(self) -> int:
        return self._opened.about.count

    def _webp(self, row: int, size: Size) -> bytes:
        """A picture as WebP.

        Raises:
            BadSample: it is gone, cannot be read, or is no longer where it was.
        """
        found: dict[str, object] = self._opened.pictures.slice(row, 1).to_pylist()[0]
        key, number = str(found["key"]), int(str(found["number"]))
        if number >= len(self._pairs):
            raise BadSample(key, "it is gone; index the pictures again")
        sample = self._pairs[number]
        if key != sample.key and key.rpartition("~")[0] != sample.key:
            raise BadSample(key, "the source has changed; index the pictures again")
        return _encoded(decode(sample.image, key), _SIDES[size])


def _encoded(pixels: np.ndarray, side: int) -> bytes:
    written = io.BytesIO()
    small(Image.fromarray(pixels), side).save(written, "WEBP", quality=_QUALITY, method=3)
    return written.getvalue()
