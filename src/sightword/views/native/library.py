"""Finds the compiled kernel, and the libjpeg that it reads files with, or says once what is missing."""

from __future__ import annotations

import ctypes
import functools
import io
import logging
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

log = logging.getLogger(__name__)

SETTING = "SIGHTWORD_NATIVE"  # 0: do without the kernel
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, ...]] = {  # result, arguments: see kernel.c and jpeg.c
    "open_jpeg": (_POINTER, ctypes.c_char_p),
    "sightword_own_entropy": (None, _POINTER, _INT),
    "sightword_instructions": (ctypes.c_char_p, _INT),
    "sightword_planes": (_LONG, _POINTER, ctypes.c_char_p, _LONG, _LONG, _POINTER, _LONG),
    "sightword_sizes": (None, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _POINTER),
    "sightword_jpegs": (
        *(None, _POINTER, _POINTER, _POINTER, _LONG, _LONG, _LONG, _POINTER, _LONG, _INT),
        *(_POINTER, _POINTER),
    ),
    "sightword_pixels": (_INT, _POINTER, _POINTER, _LONG, _LONG, _POINTER, _LONG, _INT),
}
VERSION = 2  # of kernel.h
WIDEST = 2  # instructions: 0 plain C, 1 AVX2, 2 AVX-512, as far as the processor has them


@dataclass(frozen=True)
class Library:
    """The kernel's functions, a libjpeg for it (None: only decoded pictures), and the widest instructions."""

    functions: ctypes.CDLL
    jpeg: int | None
    level: int = WIDEST

    @property
    def instructions(self) -> str:
        """What it computes with on this processor: plain, avx2 or avx512."""
        name: bytes = self.functions.sightword_instructions(self.level)
        return name.decode()


@functools.cache
def native(setting: str) -> Library | None:
    """The kernel; None (and, unless asked for, one line in the log) where it is not to be had.

    Args:
        setting: the environment's SIGHTWORD_NATIVE, or "".
    """
    if setting == "0":
        return None
    functions = _functions()
    if functions is None:
        log.warning(
            "views are made without the native kernel, several times slower: it was not built, or from other"
            " sources. Install a C compiler (gcc or clang), then install sightword again"
        )
        return None
    jpeg = next((handle for path in jpeg_paths() if (handle := functions.open_jpeg(path))), None)
    if jpeg is None:
        log.warning(
            "JPEG files are decoded without the native kernel, slower: no libjpeg of version 6.2 was found."
            " Install Pillow as a wheel, or libjpeg-turbo"
        )
    elif _reads_as_libjpeg(functions, jpeg):
        functions.sightword_own_entropy(jpeg, 1)
    return Library(functions, jpeg)


def current() -> Library | None:
    """The kernel, if there is one and the environment does not forbid it."""
    return native(os.environ.get(SETTING, ""))


def _functions() -> ctypes.CDLL | None:
    file = Path(__file__).with_name("_kernel" + str(sysconfig.get_config_var("EXT_SUFFIX")))
    try:
        functions = ctypes.CDLL(str(file))
        if functions.sightword_version() != VERSION:
            return None
    except (OSError, AttributeError):  # not built; built from other sources
        return None
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions


def _reads_as_libjpeg(functions: ctypes.CDLL, jpeg: int) -> bool:
    """Whether the kernel's own entropy decoder fits into this libjpeg: both must read the same planes.

    It takes the place of a function that libjpeg keeps to itself, so the proof is asked of every libjpeg.
    """
    width, height = 40, 33
    noise = np.random.default_rng(0).normal(128, 40, (height, width, 3)).clip(0, 255).astype(np.uint8)
    for colours, subsampling, quality in (("RGB", 2, 97), ("RGB", 0, 60), ("L", 0, 90)):
        file = io.BytesIO()
        PIL.Image.fromarray(noise).convert(colours).save(
            file, "JPEG", quality=quality, subsampling=subsampling
        )
        data, samples = file.getvalue(), width * height
        if colours == "RGB":
            samples += 2 * (samples if subsampling == 0 else width * ((height + 1) // 2) // 2)
        planes = np.zeros((2, samples), dtype=np.int16)
        for own in (0, 1):
            functions.sightword_own_entropy(jpeg, own)
            address = planes[own].ctypes.data
            if functions.sightword_planes(jpeg, data, len(data), samples, address, samples) != samples:
                break
        functions.sightword_own_entropy(jpeg, 0)
        if not planes.any() or not np.array_equal(planes[0], planes[1]):
            return False
    return True


def jpeg_paths() -> Iterator[bytes]:
    """Pillow's own libjpeg-turbo first: it is in memory already."""
    pillow = Path(PIL.__file__).parent
    for folder, pattern in (
        (pillow.parent / "pillow.libs", "libjpeg*.so*"),
        (pillow / ".dylibs", "libjpeg*.dylib"),
    ):
        yield from (os.fsencode(path) for path in sorted(folder.glob(pattern)))
    yield from (b"libjpeg.so.62", b"libjpeg.62.dylib")
