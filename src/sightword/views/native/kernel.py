"""Hands batches to the compiled kernel. Everything that chance decides is drawn here, by the same functions.

The kernel works without Python's lock, so slices of a batch may run on several threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from sightword.views.blur import FAINT, half_kernels
from sightword.views.colour import ORDERS
from sightword.views.drawn import Drawn, Epochs, draw
from sightword.views.geometry import Pictures, sizes_of
from sightword.views.native.library import Library
from sightword.words import View

Views: TypeAlias = Mapping[View, UInt8[Tensor, "b 3 s s"]]
_STEPS = np.array([*ORDERS, (255,) * 4], dtype=np.uint8)  # the last: no jitter


class _View(ctypes.Structure):
    """`View` of kernel.h."""

    _fields_ = (
        ("size", ctypes.c_int64),
        ("boxes", ctypes.c_void_p),
        ("flipped", ctypes.c_void_p),
        ("steps", ctypes.c_void_p),
        ("amounts", ctypes.c_void_p),
        ("gray", ctypes.c_void_p),
        ("blur", ctypes.c_void_p),
        ("spans", ctypes.c_void_p),
        ("taps", ctypes.c_int64),
        ("solarized", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("eighths", ctypes.c_void_p),
    )


class _Job:
    """The views of a batch as the kernel wants them; keeps alive what its pointers point to."""

    def __init__(self, drawn: Mapping[View, Drawn], sizes: Int[np.ndarray, "b 2"]) -> None:
        self.out = {
            view: torch.empty((len(one.crops), 3, view.size, view.size), dtype=torch.uint8)
            for view, one in drawn.items()
        }
        self._kept = [self._arrays(view, one, sizes) for view, one in drawn.items()]
        self.views = (_View * len(self._kept))(
            *(
                _View(**{name: it if isinstance(it, int) else it.ctypes.data for name, it in kept.items()})
                for kept in self._kept
            )
        )

    def _arrays(self, view: View, drawn: Drawn, sizes: Int[np.ndarray, "b 2"]) -> dict[str, Any]:
        order = np.where(drawn.jittered, drawn.jitter.order if drawn.jitter else -1, -1)
        amounts = drawn.jitter.amounts if drawn.jitter else np.zeros((len(order), 4))
        blur, spans = blur_kernels(len(order), drawn.blurred, drawn.sigma)
        return {
            "size": view.size,
            "boxes": np.ascontiguousarray(drawn.crops, dtype=np.int64),
            "flipped": drawn.flipped,
            "steps": _STEPS[order],
            "amounts": np.ascontiguousarray(amounts, dtype=np.float32),
            "gray": drawn.gray,
            "blur": blur,
            "spans": spans,
            "taps": blur.shape[1],
            "solarized": drawn.solarized,
            "out": self.out[view].numpy(),
            "eighths": eighths(view, sizes),
        }


def eighths(view: View, sizes: Int[np.ndarray, "b 2"]) -> UInt8[np.ndarray, " b"]:
    """At which share of its size a JPEG is decoded for a view: 8, 4, 2 or 1 eighths of it.

    The smallest at which the largest crop that the view may take of a square still has twice the view's
    pixels. It depends on the picture and on this view alone, not on the crop or on other views: so a view is
    the same in runs of other objectives, views of one size share one decoding, and the resampling smooths
    over the coarser filter of the DCT. Crops of less than a quarter of that area lose some detail.

    Args:
        sizes: height and width of each picture, pixels.
    """
    wanted = 2 * view.size / view.scale[1] ** 0.5
    shares = 8 * np.minimum(1.0, wanted / np.maximum(1, sizes.min(axis=1)))
    found: UInt8[np.ndarray, " b"] = (2 ** np.ceil(np.log2(np.maximum(1.0, shares)))).astype(np.uint8)
    return found


def blur_kernels(
    count: int, rows: Int[np.ndarray, " n"], sigma: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "b taps"], Int[np.ndarray, " b"]]:
    """For each of `count` samples the kernel of `blur.blur`, and how far it reaches: 0 where not blurred."""
    spans = np.zeros(count, dtype=np.int64)
    if len(rows) == 0:
        return np.zeros((count, 1), dtype=np.float32), spans
    halves = half_kernels(sigma)
    reach = (halves >= FAINT).sum(axis=1) - 1
    spans[rows] = reach
    weights = np.zeros((count, halves.shape[1]), dtype=np.float32)
    for span in np.unique(reach):
        same = reach == span
        half = halves[same, : span + 1]
        weights[rows[same], : span + 1] = half / (2 * half.sum(axis=1, keepdims=True) - half[:, :1])
    return weights, spans


def views_of_pixels(
    library: Library,
    images: Pictures,
    views: Sequence[View],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Epochs,
    threads: int = 1,
    coloured: bool = True,
) -> Views:
    """As `pipeline.make_views`, to the bit.

    Raises:
        MemoryError: there is none left.
    """
    sizes = np.ascontiguousarray(sizes_of(images))
    job = _Job({view: draw(view, sizes, seed, ids, epochs, coloured) for view in views}, sizes)
    kept = images.contiguous() if isinstance(images, Tensor) else [np.ascontiguousarray(x) for x in images]
    pictures = (ctypes.c_void_p * len(sizes))(*_addresses(kept))

    def work(first: int, last: int) -> None:
        if library.functions.sightword_pixels(
            pictures, sizes.ctypes.data, first, last, job.views, len(views), library.level
        ):
            raise MemoryError("no memory for making views")

    _in_slices(work, len(sizes), threads)
    return job.out


def views_of_jpegs(
    library: Library,
    files: Sequence[bytes | None],
    views: Sequence[View],
    seed: int,
    ids: Int[np.ndarray, " b"],
    epochs: Epochs,
    most: int,
    threads: int = 1,
    coloured: bool = True,
) -> tuple[Views, Bool[np.ndarray, " b"], Float[np.ndarray, " stages"]]:
    """Views straight from JPEG files, without decoding what cannot be seen in them.

    Deviations from `make_views` of the decoded file: values are rounded once instead of three times (a
    level), and clipped to 0-255 after resizing instead of before; large files are decoded at a half, a
    quarter or an eighth of their size (see `eighths`).

    Args:
        files: JPEGs that stand upright; None for rows that are not to be made.
        most: pixels; larger pictures are left out.

    Returns:
        the views; which rows were made (others hold anything: broken files, CMYK, too large, ...); processor
        seconds of decoding and of the rest.
    """
    sizes = np.zeros((len(files), 2), dtype=np.int64)
    taken = np.zeros(len(files), dtype=np.uint8)
    seconds: list[Float[np.ndarray, " stages"]] = []
    if library.jpeg is not None:
        pointers = (ctypes.c_char_p * len(files))(*files)
        lengths = np.array([len(file) if file else 0 for file in files], dtype=np.int64)
        shared = library.jpeg, pointers, lengths.ctypes.data
        library.functions.sightword_sizes(*shared, len(files), most, sizes.ctypes.data)
        taken[:] = sizes[:, 0] > 0
    drawn = {view: draw(view, np.maximum(sizes, 1), seed, ids, epochs, coloured) for view in views}
    job = _Job(drawn, sizes)

    def work(first: int, last: int) -> None:
        spent = np.zeros(2)
        library.functions.sightword_jpegs(
            *shared,
            first,
            last,
            most,
            job.views,
            len(views),
            library.level,
            taken.ctypes.data,
            spent.ctypes.data,
        )
        seconds.append(spent)

    if taken.any():
        _in_slices(work, len(files), threads)
    return job.out, taken.astype(bool), np.sum(seconds, axis=0) if seconds else np.zeros(2)


def _addresses(images: Tensor | Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> list[int]:
    if isinstance(images, Tensor):
        step = images[0].numel() if len(images) else 0
        return [images.data_ptr() + i * step for i in range(len(images))]
    return [image.__array_interface__["data"][0] for image in images]


def _in_slices(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """`work` on parts of `range(count)`, at once on several threads where that is wished."""
    if threads <= 1 or count <= 1:
        work(0, count)
        return
    edges = np.linspace(0, count, min(count, threads) + 1).astype(int).tolist()
    with ThreadPoolExecutor(len(edges) - 1) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
