"""What tells whether two pictures are one: a hash of the file, and three of what it looks like.

`coarse` and `fine` are perceptual hashes as Zauner's (2010, "Implementation and benchmarking of perceptual
image hash functions", section 3.2.1): the signs, against their median, of the lowest frequencies of the gray
picture at 32 x 32 pixels. They see no colour and forgive much, so `colours` stands beside them: the means of
4 x 4 fields. Two pictures are near copies when all three agree. Measured on icons, silhouettes and renders,
re-encoding (JPEG and WebP, quality 50 and up), resizing by half or to the double, and 10 % of brightness or
contrast stay within the limits for most pictures of 100 pixels or more; cutting off more than 2 % does not.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float, Int, Int64, UInt8, UInt64
from PIL import Image

MOST_COARSE = 3  # bits of 63 that may differ: what a search over bands finds without fail (`near_pairs`)
MOST_FINE = 40  # bits of 255
MOST_COLOUR = 10.0  # levels of 255, on average over the fields
BLANK = 4.0  # levels: a standard deviation below which the hashes are chance
ROW = np.dtype(
    [
        ("key", "<u8"),  # a hash of the sample's key
        ("file", "<u8"),  # a hash of the picture's bytes
        ("coarse", "<u8"),
        ("fine", "<u8", (4,)),
        ("colours", "u1", (48,)),
        ("looks", "?"),  # whether there is something in it: decoded, and not blank
    ]
)
_SIDE, _FIELDS, _LOW, _LOWER = 32, 4, 16, 8
_ONES = np.array([number.bit_count() for number in range(256)], dtype=np.uint8)


def hash64(data: bytes) -> int:
    """64 bits of a hash."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def looks(
    pixels: UInt8[np.ndarray, "h w 3"],
) -> tuple[int, UInt64[np.ndarray, 4], UInt8[np.ndarray, 48], bool]:
    """`coarse`, `fine`, `colours`, and whether there is anything to tell it by."""
    picture = Image.fromarray(pixels)
    picture = picture.reduce(
        max(1, min(picture.size) // (4 * _SIDE))
    )  # whole pixels' means: fast, and enough
    gray = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    levels = np.asarray(gray, dtype=np.float64)
    frequencies = _COSINES @ levels @ _COSINES.T
    fields = picture.resize((_FIELDS, _FIELDS), Image.Resampling.BOX)
    colours = np.asarray(fields, dtype=np.uint8).reshape(-1)
    coarse = _signs(frequencies[:_LOWER, :_LOWER])
    return int(coarse[0]), _signs(frequencies), colours, bool(levels.std() >= BLANK)


def differing(first: UInt64[np.ndarray, "*n"], second: UInt64[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """How many bits of each pair of numbers differ."""
    bits = _ONES[np.ascontiguousarray(first ^ second)[..., None].view(np.uint8)]
    counted: Int[np.ndarray, "*n"] = bits.sum(axis=-1, dtype=np.int64)
    return counted


def agree(rows: np.ndarray, pairs: Int64[np.ndarray, "m 2"], others: np.ndarray) -> np.ndarray:
    """Whether `fine` and `colours` agree too, for pairs of a row of `rows` and one of `others`: (m,)."""
    mine, theirs = rows[pairs[:, 0]], others[pairs[:, 1]]
    fine = differing(mine["fine"], theirs["fine"]).sum(axis=1)
    off = np.abs(mine["colours"].astype(np.int16) - theirs["colours"]).mean(axis=1)
    found: np.ndarray = (fine <= MOST_FINE) & (off <= MOST_COLOUR)
    return found


def _signs(frequencies: Float[np.ndarray, "n n"]) -> UInt64[np.ndarray, " words"]:
    """A bit for each frequency but the first, which is only the brightness."""
    values = frequencies.reshape(-1)[1:]
    bits = np.append(values > np.median(values), False)
    return np.packbits(bits).view("<u8").astype(np.uint64)


def _cosines() -> Float[np.ndarray, "low side"]:
    """The lowest rows of the DCT-II, whose scale the signs do not see."""
    places, waves = np.arange(_SIDE) + 0.5, np.arange(_LOW)[:, None]
    return np.cos(np.pi / _SIDE * waves * places)


_COSINES = _cosines()
