"""Finds the compiled kernels of networks, and shares their work among threads."""

from __future__ import annotations

import ctypes
import functools
import os
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

SETTING = "SIGHTWORD_NATIVE"  # 0: do without, as for the views
VERSION = 8  # of norm.h
_P, _N, _I, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
_SIGNATURES: dict[str, tuple[Any, ...]] = {  # result, arguments: see the .c files beside
    "norm_moments": (None, _I, _I, _P, _N, _N, _N, _N, _P),
    "norm_apply": (None, _I, _I, _P, _P, _N, _N, _N, _P, _P, _I, _P),
    "norm_sums": (None, _I, _I, _P, _P, _P, _N, _N, _N, _N, _P, _P, _P, _P),
    "norm_back": (None, _I, _I, _P, _P, _P, _N, _N, _N, _P, _P, _P, _P, _P, _P, _P),
    "norm_join": (None, _P, _N, _N, _F, _P, _P, _P, _P, _P, _P, _P, _P, _F),
    "norm_join_back": (None, _P, _N, _N, _P, _P, _P, _P, _P, _P, _P, _P),
    "convolution_usable": (_I,),
    "convolution_pack": (None, _P, _N, _N, _N, _I, _N, _N, _P),
    "convolution_apply": (_I, _P, _I, _P, _P, _P, _N, _N, _P),
    "convolution_weigh": (_I, _P, _P, _P, _N, _N, _P),
    "convolution_patches": (_I, _P, _P, _P, _P, _N, _N, _P),
    "attention_apply": (_I, _P, _P, _N, _N, _P, _P),
    "attention_back": (_I, _P, _P, _P, _P, _P, _N, _N, _P),
    "linear_apply": (None, _P, _N, _N),
    "linear_pack_left": (None, _P, _N, _N),
    "linear_weigh": (_I, _P, _N, _N),
    "layer_norm_apply": (None, _P, _N, _N, _F, _P, _P, _N, _N, _P, _P),
    "layer_norm_back": (None, _P, _P, _N, _N, _P, _P, _N, _N, _P, _P),
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


def shared(work: Callable[[int, int], None], parts: int, most: int) -> None:
    """Do parts 0 to `parts` in as many threads as torch has, at most `most`. C runs without Python's lock.

    Args:
        work: does the parts from one number to another, without it.
    """
    threads = min(torch.get_num_threads(), parts, most)
    if threads < 2:
        return work(0, parts)
    ends = [parts * i // threads for i in range(threads + 1)]
    others = [_pool(threads - 1).submit(work, a, b) for a, b in pairwise(ends[1:])]
    work(ends[0], ends[1])
    for other in others:
        other.result()
    return None


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "towers")
