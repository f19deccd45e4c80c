"""Memory of a step is kept for the next one, instead of being given back and fetched again, zeroed."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WISHES = {  # of glibc's malloc.h
    -4: 0,  # M_MMAP_MAX: no block comes from the system by itself, to be given back when it is freed
    -1: -1,  # M_TRIM_THRESHOLD: the end of the heap is kept, however much of it is free
    -2: 64 * 2**20,  # M_TOP_PAD: so much is asked of the system at once
}


@functools.cache
def keep_memory() -> bool:
    """Have glibc's malloc keep what is freed, blocks of any size; whether that was possible.

    Unasked it gives the end of the heap back whenever 64 MiB of it are free: at the end of each step. A step
    of a small ViT then takes 98,000 page faults, and 200 with this. Blocks of more than 32 MiB it would fetch
    from the system and give back each time, cleared: a third of the time of ViT-B/16 on 48 pictures. A run of
    varied lengths takes a twentieth more memory for it. Other allocators (LD_PRELOAD) and systems are not
    touched.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    return all(mallopt(what, value) == 1 for what, value in _WISHES.items())


@contextmanager
def large_pages() -> Iterator[None]:
    """Processes that begin meanwhile ask Linux for memory in pages of 2 MiB, where their user said nothing.

    A step on small pictures takes 3 to 6 % less time. glibc reads the wish at a process's start alone, so a
    process that runs already cannot have it.
    """
    if "GLIBC_TUNABLES" in os.environ or not sys.platform.startswith("linux"):
        yield
        return
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    try:
        yield
    finally:
        del os.environ["GLIBC_TUNABLES"]


@contextmanager
def unwatched() -> Iterator[None]:
    """What is there already will stay: Python need not look through it for rubbish at each of many steps."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
