"""A range of pictures decoded and measured."""

from __future__ import annotations

import io
import time
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from sightword.corpora.fingerprints import ROW, hash64, looks
from sightword.corpora.parallel import Tick
from sightword.corpora.stats.record import Unreadable
from sightword.errors import BadSample, SightwordError
from sightword.pairs.base import Pairs
from sightword.pairs.tars.writer import extension
from sightword.views.decode import decode

AT_ONCE = 100  # pictures of a job
_GRAY = 8  # levels that the channels of a gray picture may lie apart: what JPEG's chroma rounding leaves
_FIELDS = 32  # fields a side, over which colour is averaged before it is called colour
PICTURE = np.dtype(
    [
        ("number", "<i8"),  # of the pair
        ("width", "<i4"),  # upright
        ("height", "<i4"),
        ("bytes", "<i8"),
        ("seconds", "<f8"),  # of one core, to decode
        ("format", "S8"),
        ("mode", "S8"),
        ("animated", "?"),
        ("gray", "?"),
        ("mean", "<f8", (3,)),  # red, green, blue from 0 to 1
        ("square", "<f8", (3,)),  # mean of the squares
        ("brightness", "<f8"),
        ("contrast", "<f8"),
        ("entropy", "<f8"),  # bits
        ("print", ROW),
    ]
)


@dataclass
class Seen:
    """What was found."""

    rows: np.ndarray  # a `PICTURE` for each that can be read
    unreadable: list[Unreadable]


def see(pairs: Pairs, numbers: Int64[np.ndarray, " n"], tick: Tick) -> Seen:
    """Decode these pairs' pictures at their full size and measure them."""
    seen = Seen(np.zeros(0, dtype=PICTURE), [])
    rows = list[np.ndarray]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, of what it mends in a file
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such pictures are listed
        for number in numbers.tolist():
            try:
                sample = pairs[number]
                rows.append(measure(number, sample.key, sample.image))
            except BadSample as error:
                seen.unreadable.append(Unreadable(number, error.key, error.reason))
            except (SightwordError, OSError) as error:  # a whole shard that is gone
                seen.unreadable.append(Unreadable(number, f"pair {number}", str(error)))
            tick(1)
    if rows:
        seen.rows = np.concatenate(rows)
    return seen


def measure(number: int, key: str, data: bytes) -> np.ndarray:
    """One `PICTURE`, shape (1,).

    Raises:
        BadSample: it cannot be decoded.
    """
    row = np.zeros(1, dtype=PICTURE)
    before = time.thread_time()
    pixels = decode(data, key)
    row["seconds"] = time.thread_time() - before
    row["number"], row["bytes"] = number, len(data)
    row["height"], row["width"] = pixels.shape[:2]
    row["format"], row["mode"], row["animated"] = _header(data)
    _colours(row, pixels)
    one = row["print"]
    one["file"] = hash64(data)
    one["coarse"], one["fine"], one["colours"], one["looks"] = looks(pixels)
    return row


def _header(data: bytes) -> tuple[str, str, bool]:
    """Format, mode, and whether it is animated, as Pillow names them."""
    try:
        with Image.open(io.BytesIO(data)) as stored:
            return stored.format or "", stored.mode, bool(getattr(stored, "is_animated", False))
    except Exception:  # a JPEG that only libjpeg-turbo reads: decoders raise anything on odd bytes
        return extension(data).upper(), "unknown", False


def _colours(row: np.ndarray, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
    """Everything that histograms tell."""
    picture, levels = Image.fromarray(pixels), np.arange(256) / 255
    shares = np.array(picture.histogram(), dtype=np.float64).reshape(3, 256) / pixels[..., 0].size
    row["mean"], row["square"] = shares @ levels, shares @ levels**2
    light = np.array(picture.convert("L").histogram(), dtype=np.float64) / pixels[..., 0].size
    row["brightness"] = light @ levels
    row["contrast"] = max(0.0, float(light @ levels**2 - (light @ levels) ** 2)) ** 0.5
    there = light[light > 0]
    row["entropy"] = max(0.0, -float((there * np.log2(there)).sum()))
    fields = picture.resize((_FIELDS, _FIELDS), Image.Resampling.BOX)
    row["gray"] = np.ptp(np.asarray(fields, dtype=np.int16), axis=2).max() <= _GRAY
