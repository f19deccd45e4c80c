"""Gaussian blur of finished views, as PIL's `GaussianBlur(radius=sigma)`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8

from sightword.views.blocks import BLOCK, blocks

PASSES = 3
FAINT = 1 / 1024  # kernel weights below this, a quarter of a level at most, are left out


def blur(
    pictures: UInt8[np.ndarray, "b 3 s s"], rows: Int[np.ndarray, " n"], sigma: Float[np.ndarray, " n"]
) -> None:
    """Blur these rows of `pictures` in place, each by its own standard deviation in pixels.

    PIL's filter is an extended box blur done three times (Gwosdek et al. 2011, "Theoretical foundations of
    Gaussian convolution by extended box filtering"), which has the Gaussian's variance even where a
    sampled Gaussian does not (sigma < 0.5). Deviations: the three boxes are one kernel here, so values
    are rounded once instead of six times and the border is repeated once instead of three times; the
    faint ends of the kernel are left out.
    """
    if len(rows) == 0:
        return
    halves = half_kernels(sigma)
    spans = (halves >= FAINT).sum(axis=1) - 1  # pixels that each kernel reaches to a side
    for span in np.unique(spans[spans > 0]):
        half = halves[:, : span + 1] / (2 * halves[:, : span + 1].sum(axis=1, keepdims=True) - halves[:, :1])
        plane = (pictures.shape[-1] + 2 * int(span)) ** 2
        together = 3 if 3 * plane <= BLOCK else 1  # channels: those of a large picture one after the other
        for part in blocks(np.flatnonzero(spans == span), together * plane):
            for first in range(0, 3, together):
                place = rows[part], slice(first, first + together)
                pictures[place] = _convolve(pictures[place], half[part].astype(np.float32))


def half_kernels(sigma: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n taps"]:
    """Three extended boxes folded into one symmetric kernel a row: its weights from the middle outwards."""
    variance = sigma**2 / PASSES
    inner = np.floor((np.sqrt(12 * variance + 1) - 1) / 2)  # whole pixels that one box reaches
    outer = (2 * inner + 1) * (inner * (inner + 1) - 3 * variance) / (6 * (variance - (inner + 1) ** 2))
    reach = int(inner.max()) + 1
    beyond = np.abs(np.arange(-reach, reach + 1)) - inner[:, None]
    box = np.where(beyond <= 0, 1.0, np.where(beyond <= 1, outer[:, None], 0.0))
    box /= (2 * (inner + outer) + 1)[:, None]
    return _fold(_fold(box, box), box)[:, PASSES * reach :]


def _fold(a: Float[np.ndarray, "n p"], b: Float[np.ndarray, "n q"]) -> Float[np.ndarray, "n r"]:
    """The full convolution of each row of `a` with the same row of `b`."""
    out = np.zeros((len(a), a.shape[1] + b.shape[1] - 1))
    for shift in range(b.shape[1]):
        out[:, shift : shift + a.shape[1]] += a * b[:, shift : shift + 1]
    return out


def _convolve(
    pictures: UInt8[np.ndarray, "n c s s"], half: Float[np.ndarray, "n taps"]
) -> Float[np.ndarray, "n c s s"]:
    """Down, then across. Planes are flat: a step down is a shift by a padded row, a step across by one."""
    count, channels, size, _ = pictures.shape
    reach = half.shape[1] - 1
    side = size + 2 * reach
    flat = _repeat_border(pictures, reach).reshape(count, -1)
    across = _slide(_slide(flat, half, side), half, 1)
    flat[:, : across.shape[1]] = np.rint(across, out=across)
    return flat.reshape(count, channels, side, side)[:, :, :size, :size]


def _slide(
    flat: Float[np.ndarray, "n m"], half: Float[np.ndarray, "n taps"], step: int
) -> Float[np.ndarray, "n l"]:
    """A symmetric kernel along flat rows, its taps `step` apart, where it fits whole."""
    reach = half.shape[1] - 1
    length = flat.shape[1] - 2 * reach * step
    middle = reach * step
    out = flat[:, middle : middle + length] * half[:, :1]
    pair = np.empty_like(out)
    for k in range(1, reach + 1):
        before, after = middle - k * step, middle + k * step
        np.add(flat[:, before : before + length], flat[:, after : after + length], out=pair)
        pair *= half[:, k : k + 1]
        out += pair
    return out


def _repeat_border(pictures: UInt8[np.ndarray, "n c s s"], reach: int) -> Float[np.ndarray, "n c p p"]:
    """As float32, with the outermost pixels repeated `reach` times to every side."""
    count, channels, size, _ = pictures.shape
    out = np.empty((count, channels, size + 2 * reach, size + 2 * reach), dtype=np.float32)
    out[:, :, reach:-reach, reach:-reach] = pictures
    out[:, :, :reach, reach:-reach] = out[:, :, reach : reach + 1, reach:-reach]
    out[:, :, -reach:, reach:-reach] = out[:, :, -reach - 1 : -reach, reach:-reach]
    out[:, :, :, :reach] = out[:, :, :, reach : reach + 1]
    out[:, :, :, -reach:] = out[:, :, :, -reach - 1 : -reach]
    return out
