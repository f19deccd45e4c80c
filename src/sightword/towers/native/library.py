"""Finds the compiled kernels of networks, and shares their work among threads."""

from __future__ import annotations

import ctypes
import functools
import os
import sysconfig
from pathlib import Path
from typing import Any

import torch

SETTING = "SIGHTWORD_NATIVE"  # 0: do without, as for the views
VERSION = 14  # of norm.h
_P, _N, _I, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
_SIGNATURES: dict[str, tuple[Any, ...]] = {  # result, arguments: see the .c files beside
    "share": (_I, _P, _P, _N, _N),
    "norm_join": (None, _P, _N, _N, _F, _P, _P, _P, _P, _P, _P, _P, _P, _F),
    "norm_join_back": (None, _P, _N, _N, _P, _P, _P, _P, _P, _P, _P, _P),
    "convolution_usable": (_I,),
}


@functools.cache
def library(setting: str) -> ctypes.CDLL | None:
    """The compiled functions; None where they were not built, or are not wanted.

    Args:
        setting: the environment's SIGHTWORD_NATIVE, or "".
    """
    if setting == "0":
        return None
    file = Path(__file__).with_name("_kernel" + str(sysconfig.get_config_var("EXT_SUFFIX")))
    try:
        functions = ctypes.CDLL(str(file))
        if functions.norm_version() != VERSION:
            return None
    except (OSError, AttributeError):  # not built; built from other sources
        return None
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions


def current() -> ctypes.CDLL | None:
    """The compiled functions, if there are any and the environment does not forbid them."""
    return library(os.environ.get(SETTING, ""))


def shared(work: Any, what: ctypes.Structure, parts: int, most: int) -> None:
    """Do parts 0 to `parts` in as many threads as torch has, at most `most`, without Python's lock.

    Args:
        work: one of the compiled functions, that does the parts of `what` from one number to another.
        what: says what it works on.
        parts: how many there are.
        most: threads that it is worth.

    Raises:
        MemoryError: there was none for it.
    """
    functions, threads = current(), min(torch.get_num_threads(), parts, most)
    assert functions is not None, "asked before"
    if functions.share(ctypes.cast(work, ctypes.c_void_p), ctypes.byref(what), parts, threads):
        raise MemoryError(f"no memory for {getattr(work, '__name__', work)}")
