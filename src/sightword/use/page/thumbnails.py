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
from sightword.use.index.stock import places, reading_of
from sightword.views.decode import decode

Size = Literal["small", "large"]
_SIDES: dict[str, int] = {"small": 320, "large": 1600}  # pixels at most
_KEPT = 1000  # pictures in memory
_QUALITY = 82


@final
class Thumbnails:
    """Pictures by their row in the index, and no others: nobody can name a file.

    `stale`: the source is not what was indexed; pictures of it that are still there are found by their names.

    Raises:
        SightwordError: the source of the index is gone.
    """

    def __init__(self, opened: Opened) -> None:
        about = opened.about
        self._opened = opened
        self._pairs = open_pairs(about.data, about.split, reading_of(about.reading))
        self.stale = self._pairs.data_hash != about.data_hash
        self._places = places(self._pairs, about.data) if self.stale else None
        self.webp = lru_cache(_KEPT)(self._webp)

    def __len__(self) -> int:
        return self._opened.about.count

    def _webp(self, row: int, size: Size) -> bytes:
        """A picture as WebP.

        Raises:
            BadSample: it is gone, or cannot be read.
        """
        found: dict[str, object] = self._opened.pictures.slice(row, 1).to_pylist()[0]
        key = str(found["key"])
        number = int(str(found["number"])) if self._places is None else self._places.get(key, -1)
        if not 0 <= number < len(self._pairs):
            raise BadSample(key, "it is gone; index the pictures again")
        side = _SIDES[size]
        return _encoded(decode(self._pairs[number].image, key, shortest=side), side)


def _encoded(pixels: np.ndarray, side: int) -> bytes:
    written = io.BytesIO()
    small(Image.fromarray(pixels), side).save(written, "WEBP", quality=_QUALITY, method=3)
    return written.getvalue()
