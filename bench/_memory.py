"""Memory as each side has it: ours keeps what is freed, as in training; glibc does with a peer's as ever."""

from __future__ import annotations

import ctypes
import sys

from _sides import Side

from sightword.training.allocator import keep_memory

_USUAL = {  # where glibc's own adaption ends once large blocks have been freed; see mallopt(3)
    -4: 65536,  # M_MMAP_MAX
    -3: 32 * 2**20,  # M_MMAP_THRESHOLD
    -1: 64 * 2**20,  # M_TRIM_THRESHOLD
    -2: 128 * 2**10,  # M_TOP_PAD
}


def settle(side: Side) -> None:
    """Give the process a side's way with memory, and let two of its steps fetch what it will hold.

    After one the heap is not yet what it will be: a ViT-B/16 that keeps its memory meets 270,000 new pages in
    its second step, and none in its third.
    """
    if side.name.startswith("ours"):
        keep_memory.__wrapped__()
    else:
        as_usual()
    for _ in range(2):
        side.step()


def as_usual() -> None:
    """What glibc does unasked, and nothing left of what another side kept."""
    if not sys.platform.startswith("linux"):
        return
    c = ctypes.CDLL(None)
    if hasattr(c, "mallopt"):
        for what, value in _USUAL.items():
            c.mallopt(what, value)
        c.malloc_trim(0)
