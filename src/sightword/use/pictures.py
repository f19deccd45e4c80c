"""Pictures as users have them, made into what a model sees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from sightword.errors import BadSample, SightwordError
from sightword.views.decode import decode, pixels_of
from sightword.views.evaluation import Preparation

Picture: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor
Pictures: TypeAlias = Picture | Sequence[Picture]
AT_ONCE = 256  # pictures prepared together; more would only take memory
_KINDS = "a path, the bytes of a file, a PIL picture, a uint8 array (h, w, 3) or a uint8 tensor (3, h, w)"


def squares(pictures: Pictures, prepare: Preparation) -> Iterator[UInt8[Tensor, "b 3 s s"]]:
    """Pictures as a model wants them, up to `AT_ONCE` at a time.

    Args:
        pictures: one or several: paths, bytes of files, PIL pictures, uint8 arrays (h, w, 3), uint8 tensors
            (3, h, w); or all of one size as one array (b, h, w, 3) or tensor (b, 3, h, w).
        prepare: how the model wants them. Tensors of its size already are taken as they are.

    Raises:
        SightwordError: one of them cannot be read, or is none of these.
    """
    if isinstance(pictures, Tensor) and _finished(pictures, prepare.size):
        yield from pictures.split(AT_ONCE)
        return
    several = one_by_one(pictures)
    if not len(several):
        yield torch.empty(0, 3, prepare.size, prepare.size, dtype=torch.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(several), AT_ONCE):
            some = several[start : start + AT_ONCE]
            made = threads.map(_square, range(start, start + len(some)), some, repeat(prepare))
            yield torch.cat(list(made))


def one_by_one(pictures: Pictures) -> Sequence[Picture]:
    """A sequence of single pictures, of one or of several."""
    if isinstance(pictures, np.ndarray | Tensor):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    return [pictures] if isinstance(pictures, str | os.PathLike | bytes | Image.Image) else pictures


def _finished(pictures: Tensor, size: int) -> bool:
    return pictures.dtype == torch.uint8 and pictures.ndim == 4 and pictures.shape[1:] == (3, size, size)


def _square(number: int, picture: Picture, prepare: Preparation) -> UInt8[Tensor, "1 3 s s"]:
    try:
        return prepare([_pixels(picture, f"picture {number}")])
    except BadSample as error:
        raise SightwordError(f"cannot read {error.key}: {error.reason}; repair it, or leave it out") from None


def _pixels(picture: Picture, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Raises BadSample."""
    if isinstance(picture, bytes):
        return decode(picture, name)
    if isinstance(picture, Image.Image):
        return pixels_of(picture, name)
    if isinstance(picture, Tensor):
        array = picture.detach().cpu()
        return _checked(array.movedim(0, -1).numpy() if array.ndim == 3 else array.numpy(), picture, name)
    if isinstance(picture, np.ndarray):
        return _checked(picture, picture, name)
    if not isinstance(picture, str | os.PathLike):
        raise BadSample(name, f"it is of the type {type(picture).__name__}; wanted {_KINDS}")
    try:
        return decode(Path(picture).expanduser().read_bytes(), f"'{os.fspath(picture)}'")
    except OSError as error:
        raise BadSample(f"'{os.fspath(picture)}'", str(error.strerror)) from error


def _checked(pixels: np.ndarray, given: np.ndarray | Tensor, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Floats are refused: nobody can tell whether they are 0 to 1, 0 to 255, or normalised already."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        kind = "a tensor" if isinstance(given, Tensor) else "an array"
        shape = tuple(given.shape)
        raise BadSample(name, f"it is {kind} of {given.dtype} with the shape {shape}; wanted {_KINDS}")
    return np.ascontiguousarray(pixels)
