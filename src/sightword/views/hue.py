"""The hue of RGB pictures turned exactly, without branches and, nearly always, without floating point.

A colour's place on HSV's hexagon, in sixths of a turn from red, is a fraction of its chroma. Taken times the
chroma it is a whole number of levels, and so is all else but the turn itself: rounding the turn, times the
chroma, to a level rounds the result. So 16-bit integers do, at half the time of float32, and give its bits
unless that rounding is a near tie; pictures whose turn comes near one for any chroma are done in float32.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int8, Int16, UInt8

Pixels: TypeAlias = UInt8[np.ndarray, "n 3 p"]
Turns: TypeAlias = Float32[np.ndarray, "n 1"]
Whole: TypeAlias = Int16[np.ndarray, "n p"]
Real: TypeAlias = Float32[np.ndarray, "n p"]

CENTRES = (3, 2, 4)  # red is strongest away from 3 on the hexagon, green and blue towards 2 and 4
TIE = 5e-4  # levels: float32 is less than 4e-4 off (1.3e-6 of the hexagon's 6, times a chroma of 255)
_CHROMAS = np.arange(256)


def turn_hue(x: Pixels, turns: Turns) -> None:
    """Turn the hue of each picture in place: value and chroma are kept, channels move along the hexagon.

    Args:
        x: levels of red, green and blue, of `p` pixels each.
        turns: by how much, in whole turns.
    """
    turn = turn_real if near_ties(turns) else turn_whole
    turn(x, turns)


def near_ties(turns: Turns) -> bool:
    """Whether one of the turns, times some chroma, comes near the middle between two levels."""
    moved = (6 * turns).astype(np.float64) * _CHROMAS
    return bool((np.abs(moved - np.floor(moved) - 0.5) < TIE).any())


def turn_whole(x: Pixels, turns: Turns) -> None:
    """In integers; all places are times the chroma."""
    place, value, chroma, side = _hexagon(x)
    place += side.astype(np.int16) * chroma
    np.abs(place, out=place)
    sixths = 6 * turns
    place += np.rint(chroma.astype(np.float32) * (sixths - 6 * np.floor(sixths / 6))).astype(np.int16)
    circle = 6 * chroma
    once = place.view(np.uint16)
    np.minimum(once, (place - circle).view(np.uint16), out=once)  # modulo it: below zero is very large here
    least, above, below = value - chroma, value + chroma, value - 2 * chroma
    away = circle  # the same memory anew
    for channel, centre in enumerate(CENTRES):
        np.subtract(place, centre * chroma, out=away)
        np.abs(away, out=away)
        if channel == 0:
            away += below
        else:
            np.subtract(above, away, out=away)
        np.maximum(away, least, out=away)
        x[:, channel] = np.minimum(away, value, out=away)


def turn_real(x: Pixels, turns: Turns) -> None:
    """In float32."""
    whole, whole_value, whole_chroma, side = _hexagon(x)
    hue, value, chroma = (it.astype(np.float32) for it in (whole, whole_value, whole_chroma))
    hue /= np.maximum(chroma, 1)  # without chroma, hue is some number
    hue += side
    hue = np.abs(hue) + 6 * turns
    hue -= 6 * np.floor(hue / 6)
    away = np.empty_like(hue)
    for channel, centre in enumerate(CENTRES):
        np.abs(np.subtract(hue, centre, out=away), out=away)
        hidden = np.subtract(2, away, out=away) if channel == 0 else np.subtract(away, 1, out=away)
        np.clip(hidden, 0, 1, out=hidden)  # share of the chroma that this channel does not show
        hidden *= chroma
        x[:, channel] = np.rint(np.subtract(value, hidden, out=hidden), out=hidden)


def _hexagon(x: Pixels) -> tuple[Whole, Whole, Whole, Int8[np.ndarray, "n p"]]:
    """The second channel less the third, value, chroma, and the side of the hexagon: 0, -6, -2 or 4.

    Sorting the channels by two exchanges leads to one formula for all six sides: the absolute value of the
    side plus the first of these over the chroma is the place.
    """
    red, green, blue = x[:, 0].astype(np.int16), x[:, 1].astype(np.int16), x[:, 2].astype(np.int16)
    high, low = np.maximum(green, blue), np.minimum(green, blue)
    second, first = (green < blue).view(np.int8), (red < high).view(np.int8)
    side = 12 * second
    side -= 2
    side *= first
    side -= 6 * second
    value, middle = np.maximum(red, high), np.minimum(red, high)
    chroma = value - np.minimum(middle, low)
    middle -= low
    return middle, value, chroma, side
