"""Finds the compiled kernel, and the libjpeg that it reads files with, or says once what is missing."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import PIL

log = logging.getLogger(__name__)

SETTING = "SIGHTWORD_NATIVE"  # 0: do without the kernel
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
            "views are made without the native kernel, several times slower: it was not built."
            " Install a C compiler (gcc or clang), then install sightword again"
        )
        return None
    jpeg = next((handle for path in jpeg_paths() if (handle := functions.open_jpeg(path))), None)
    if jpeg is None:
        log.warning(
            "JPEG files are decoded without the native kernel, slower: no libjpeg of version 6.2 was found."
            " Install Pillow as a wheel, or libjpeg-turbo"
        )
    return Library(functions, jpeg)


def current() -> Library | None:
    """The kernel, if there is one and the environment does not forbid it."""
    return native(os.environ.get(SETTING, ""))


def _functions() -> ctypes.CDLL | None:
    file = Path(__file__).with_name("_kernel" + str(sysconfig.get_config_var("EXT_SUFFIX")))
    try:
        functions = ctypes.CDLL(str(file))
    except OSError:
        return None
    functions.open_jpeg.restype = ctypes.c_void_p
    functions.open_jpeg.argtypes = [ctypes.c_char_p]
    functions.sightword_instructions.restype = ctypes.c_char_p
    functions.sightword_sizes.restype = None
    functions.sightword_jpegs.restype = None
    return functions


def jpeg_paths() -> Iterator[bytes]:
    """Pillow's own libjpeg-turbo first: it is in memory already."""
    pillow = Path(PIL.__file__).parent
    for folder, pattern in (
        (pillow.parent / "pillow.libs", "libjpeg*.so*"),
        (pillow / ".dylibs", "libjpeg*.dylib"),
    ):
        yield from (os.fsencode(path) for path in sorted(folder.glob(pattern)))
    yield from (b"libjpeg.so.62", b"libjpeg.62.dylib")
